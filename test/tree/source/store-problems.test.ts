import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import {
  InvalidArgumentError,
  NotRepresentableError,
  SourceUnreadableError,
} from '../../../lib/errors.js'
import { findAlgorithmByName } from '../../../lib/object/algorithm.js'
import { digestObject } from '../../../lib/object/digester.js'
import { joinPath } from '../../../lib/system/directory-descent.js'
import { makeFifo } from '../../../lib/system/special-file.js'
import { setXattr } from '../../../lib/system/xattr.js'
import type { SourceProblem } from '../../../lib/tree/source/source-problem.js'
import { storeDirectory } from '../../../lib/tree/source/store-directory.js'
import { storeFile } from '../../../lib/tree/source/store-file.js'
import { nodeCommand } from '../../support/node-command.js'
import { makeMemoryFolder, needsRoot, removeFolder } from '../../support/source-folder.js'
import { beginInMemory, storeInMemory } from '../../support/stored-tree.js'

const storedTree = new URL('../../support/stored-tree.js', import.meta.url)

/** What another process says of storing a folder. */
type Answer = {
  readonly error?: { readonly code: string; readonly facts: Record<string, unknown> }
  readonly paths?: readonly string[]
  readonly xattrs?: number
  readonly leftOut?: readonly string[]
  readonly problems: readonly unknown[]
}

const program = `
const [module, folder, collect] = process.argv.slice(1)
const { storeInMemory } = await import(module)
const problems = []
const onProblem = ({ code, facts }) => problems.push({ code, ...facts })
try {
  const { entries, stats } = await storeInMemory(folder, collect ? { onProblem } : {})
  let xattrs = 0
  for (const { header } of entries.values()) xattrs += header.xattrs.length
  console.log(JSON.stringify({ paths: [...entries.keys()], xattrs, leftOut: stats.leftOut, problems }))
} catch ({ code, facts, message, stack }) {
  console.log(JSON.stringify({ error: { code, facts, message, stack }, problems }))
}`

function storeElsewhere(
  module: URL | string,
  args: readonly string[],
  options: { uid?: number; gid?: number } = {},
): Answer | undefined {
  const [command, ...first] = nodeCommand
  const { stdout } = spawnSync(
    command,
    [...first, '--input-type=module', '-e', program, String(module), ...args],
    { encoding: 'utf8', cwd: '/', ...options },
  )
  return stdout === '' ? undefined : (JSON.parse(stdout) as Answer)
}

function giveUp(): never {
  throw new Error('enough')
}

function makeTemporary(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'cairn-test-'))
  t.teardown(() => removeFolder(folder))
  chmodSync(folder, 0o755)
  return folder
}

t.test('names what an ordinary user may not read', { skip: needsRoot }, async t => {
  const folder = makeTemporary(t)
  mkdirSync(join(folder, 'closed'), 0o700)
  writeFileSync(join(folder, 'open'), 'x')
  writeFileSync(join(folder, 'se\ncret'), 'x', { mode: 0o600 })
  const user = { uid: 65534, gid: 65534 }
  const strict = storeElsewhere(storedTree, [folder], user)
  if (strict === undefined || strict.error?.code === 'ERR_MODULE_NOT_FOUND') {
    t.comment('skipped: the built project is not readable for other users')
    return
  }
  t.match(strict.error, {
    code: 'source_unreadable',
    facts: { path: join(folder, 'closed'), errno: 'EACCES' },
  })
  const { paths, problems } = storeElsewhere(storedTree, [folder, 'collect'], user) ?? {}
  t.same(paths, ['open'])
  t.same(problems, [
    { code: 'source_unreadable', path: join(folder, 'closed'), errno: 'EACCES' },
    { code: 'source_unreadable', path: `${folder}/se\\x0acret`, errno: 'EACCES' },
  ])
})

t.test('says what it leaves out without the native part', async t => {
  const place = makeTemporary(t)
  const built = fileURLToPath(new URL('../../../', import.meta.url))
  const modules = fileURLToPath(new URL('../../../../node_modules/', import.meta.url))
  cpSync(join(built, 'lib'), join(place, 'dist/lib'), { recursive: true })
  cpSync(join(built, 'test/support'), join(place, 'dist/test/support'), {
    recursive: true,
  })
  writeFileSync(join(place, 'package.json'), '{"type":"module"}')
  mkdirSync(join(place, 'node_modules'))
  for (const name of readdirSync(modules)) {
    if (name !== 'koffi')
      symlinkSync(join(modules, name), join(place, 'node_modules', name))
  }
  const source = join(place, 'source')
  mkdirSync(join(source, 'folder'), { recursive: true })
  writeFileSync(join(source, 'folder/file'), 'x')
  symlinkSync('file', join(source, 'folder/link'))
  setXattr(
    Buffer.from(join(source, 'folder/file')),
    Buffer.from('user.a'),
    Buffer.from('b'),
  )
  const module = join(place, 'dist/test/support/stored-tree.js')
  const answer = storeElsewhere(module, [source])
  t.same(answer, {
    paths: ['folder', 'folder/file', 'folder/link'],
    xattrs: 0,
    leftOut: ['xattrs'],
    problems: [],
  })
  t.match(storeElsewhere(storedTree, [source]), { xattrs: 1, leftOut: [] })
})

t.test(
  'leaves out what cannot be stored, if someone is told',
  { skip: needsRoot },
  async t => {
    const folder = makeMemoryFolder()
    t.teardown(() => removeFolder(folder))
    for (const name of ['before', 'bad', 'behind']) {
      mkdirSync(join(folder, name))
      writeFileSync(join(folder, name, 'file'), name)
    }
    writeFileSync(join(folder, 'large'), Buffer.alloc(2_000_000))
    writeFileSync(join(folder, 'small'), '')
    const key = Buffer.from('trusted.big')
    for (const name of ['bad', 'large', 'small']) {
      setXattr(Buffer.from(join(folder, name)), key, Buffer.alloc(65_536))
    }
    const problems: SourceProblem[] = []
    const { entries, stats, application } = await storeInMemory(folder, {
      mtimes: true,
      onProblem: problem => void problems.push(problem),
    })
    t.same([...entries.keys()], ['before', 'before/file', 'behind', 'behind/file'])
    t.equal(stats.entries, 5)
    t.ok(application.extension?.modificationTimes)
    t.same(
      problems.map(problem => problem.facts['path']),
      ['bad', 'large', 'small'].map(name => join(folder, name)),
    )
    t.ok(problems.every(problem => problem instanceof NotRepresentableError))
    await t.rejects(storeInMemory(folder, { onProblem: giveUp }), { message: 'enough' })
  },
)

t.test('refuses a root that is no folder', async t => {
  const folder = t.testdir({ file: 'x', folder: {} })
  makeFifo(Buffer.from(join(folder, 'fifo')))
  symlinkSync('file', join(folder, 'to-file'))
  symlinkSync('loop', join(folder, 'loop'))
  for (const name of ['file', 'fifo', 'to-file', 'loop', 'absent', 'file/below', '\\']) {
    const path = join(folder, name)
    await t.rejects(storeInMemory(path), SourceUnreadableError, name)
  }
  await t.rejects(storeInMemory(join(folder, 'file')), {
    message: `cannot store ${folder}/file: expected a folder, found something else`,
  })
  await t.rejects(storeInMemory(join(folder, 'absent')), {
    message: `cannot store ${folder}/absent: ENOENT, no such file or directory`,
    facts: { path: join(folder, 'absent'), errno: 'ENOENT' },
  })
})

t.test('resolves a root that is a link', async t => {
  const folder = t.testdir({ real: { file: 'x' } })
  chmodSync(join(folder, 'real'), 0o2750)
  symlinkSync('real', join(folder, 'link'))
  const direct = await storeInMemory(join(folder, 'real'))
  const linked = await storeInMemory(join(folder, 'link'))
  t.same(linked.descriptor, direct.descriptor)
  const slashed = await storeInMemory(Buffer.from(`${folder}/real/`))
  t.same(slashed.descriptor, direct.descriptor)
})

t.test('stores a directory without its own header', async t => {
  const folder = t.testdir({ inner: { file: 'x' } })
  await using session = await beginInMemory()
  const { descriptor, stats } = await storeDirectory(folder, session)
  const { application } = await storeInMemory(folder)
  t.same(descriptor, { type: 'directory', ...application.rootDirectory })
  t.equal(stats.entries, 3)
})

t.test('stores single regular files of any size', async t => {
  const folder = t.testdir({ empty: '', small: 'small' })
  writeFileSync(join(folder, 'large'), Buffer.alloc(3_000_000, 'large'))
  symlinkSync('small', join(folder, 'link'))
  makeFifo(Buffer.from(join(folder, 'fifo')))
  const odd = joinPath(Buffer.from(folder), Buffer.from([0xff]))
  writeFileSync(odd, 'odd')
  await using session = await beginInMemory()
  const algorithm = findAlgorithmByName('sha512-256')
  if (algorithm === undefined) throw new Error('no algorithm')
  for (const [path, content] of [
    [join(folder, 'empty'), ''],
    [join(folder, 'small'), 'small'],
    [join(folder, 'link'), 'small'],
    [join(folder, 'large'), Buffer.alloc(3_000_000, 'large')],
    [odd, 'odd'],
  ] as const) {
    const payload = Buffer.from(content)
    t.same(await storeFile(path, session), {
      type: 'file',
      digest: digestObject(algorithm, 'file', payload),
      size: payload.length,
      subObjectCount: 0,
      subObjectsSize: 0n,
    })
  }
  for (const name of ['.', 'fifo', 'absent']) {
    await t.rejects(storeFile(join(folder, name), session), SourceUnreadableError, name)
  }
})

t.test('refuses what version 1 cannot say', async t => {
  const folder = t.testdir({})
  for (const options of [
    { mtimes: true },
    { config: {} },
    { created: 0n },
    { parents: [] },
  ]) {
    const result = storeInMemory(folder, { version1: true, ...options })
    await t.rejects(result, InvalidArgumentError)
  }
  t.equal((await storeInMemory(folder, { version1: true })).descriptor.size, 98)
})

t.test('stops when it is told to', async t => {
  const folder = t.testdir({ folder: {} })
  for (let index = 0; index < 600; index++) {
    writeFileSync(join(folder, 'folder', String(index)), String(index))
  }
  writeFileSync(join(folder, 'large'), Buffer.alloc(5 * 1024 * 1024))
  await t.rejects(storeInMemory(folder, { signal: AbortSignal.abort() }), {
    name: 'AbortError',
  })
  for (const limit of [0, 1, 400 * 1024]) {
    const controller = new AbortController()
    const result = storeInMemory(folder, {
      signal: controller.signal,
      onProgress: ({ bytes }) => bytes > limit && controller.abort(),
    })
    await t.rejects(result, { name: 'AbortError' })
  }
})
