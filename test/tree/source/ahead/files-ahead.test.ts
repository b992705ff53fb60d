import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findAlgorithmByName } from '../../../../lib/object/algorithm.js'
import { digestObject } from '../../../../lib/object/digester.js'
import { DirectCalls, FileState } from '../../../../lib/system/direct-calls.js'
import { DirectoryDescent } from '../../../../lib/system/directory-descent.js'
import {
  type AwaitedFile,
  FilesAhead,
} from '../../../../lib/tree/source/ahead/files-ahead.js'
import { HashingSession } from '../../../../lib/tree/source/hashing-session.js'

const calls = DirectCalls.find()
const skip = calls === undefined && 'needs native calls'
const algorithm = findAlgorithmByName('blake3')
if (algorithm === undefined) throw new Error('no algorithm blake3')

const openFiles = () => readdirSync('/proc/self/fd').length

/** Adds every file of the folders, in order; tells what came of them. */
async function readAll(source: string, folders: readonly string[], then = () => {}) {
  const stored: string[] = []
  const leftAlone: string[] = []
  using descent = new DirectoryDescent(source)
  await using session = new HashingSession(algorithm ?? failed())
  await using ahead = FilesAhead.find<AwaitedFile>(session, descent, {
    onStored: ({ name }) => void stored.push(name.toString()),
    onLeftAlone: async ({ name }, path) => {
      leftAlone.push(name.toString(), readdirSync(join(path.toString(), '..')).join())
    },
  })
  if (ahead === undefined) return failed()
  const state = new FileState()
  const root = { parent: undefined, name: Buffer.from(source) }
  const added: AwaitedFile[] = []
  for (const folder of folders) {
    descent.enter(Buffer.from(folder))
    const here = { parent: root, name: Buffer.from(folder) }
    for (const name of readdirSync(join(source, folder)).map(text => Buffer.from(text))) {
      if (calls?.seeAt(descent.fd, name, state) !== true) return failed()
      const file = { name, size: state.size, file: { link: undefined } }
      ahead.add(here, file, state)
      added.push(file)
      if (ahead.isFull) await ahead.send()
    }
    descent.leave()
  }
  then()
  await ahead.finish()
  return { stored, leftAlone, added }
}

function failed(): never {
  throw new Error('the test cannot go on')
}

t.test('stores what it reads in threads and without', { skip }, async t => {
  const source = t.testdir({ deep: {}, wide: {} })
  const expected: string[] = []
  for (const folder of ['deep', 'wide']) {
    for (let index = 0; index < (folder === 'deep' ? 100 : 3000); index++) {
      writeFileSync(join(source, folder, `${folder} ${index}`), `content ${index}`)
      expected.push(`${folder} ${index}`)
    }
  }
  const before = openFiles()
  for (const folders of [['deep'], ['deep', 'wide']]) {
    const { stored, leftAlone, added } = await readAll(source, folders)
    t.strictSame(leftAlone, [])
    t.strictSame(
      stored.toSorted(),
      expected.filter(name => folders.includes(name.slice(0, 4))).toSorted(),
    )
    for (const { name, file } of added) {
      const content = Buffer.from(`content ${name.toString().slice(5)}`)
      const digest = digestObject(algorithm ?? failed(), 'file', content)
      if (file.link?.digest !== digest) t.fail(name.toString())
    }
  }
  t.equal(openFiles(), before, 'every folder is closed')
})

t.test('leads to what needs care, though the walk has left it', { skip }, async t => {
  const source = t.testdir({ one: { gone: 'gone', stays: 'stays' } })
  const { stored, leftAlone, added } = await readAll(source, ['one'], () =>
    rmSync(join(source, 'one/gone')),
  )
  t.strictSame(stored, ['stays'])
  t.strictSame(leftAlone, ['gone', 'stays'])
  t.equal(added[0]?.file.link, undefined)
})

t.test('keeps a bounded number of folders open', { skip }, async t => {
  const source = t.testdir({})
  const folders: string[] = []
  for (let index = 0; index < 1000; index++) {
    const folder = String(index).padStart(4, '0')
    mkdirSync(join(source, folder))
    writeFileSync(join(source, folder, 'file'), folder)
    folders.push(folder)
  }
  const before = openFiles()
  let most = 0
  const result = await readAll(source, folders, () => {
    most = openFiles() - before
  })
  t.equal(result.stored.length, 1000)
  t.ok(most < 64 * 10, `${most} open files`)
  t.equal(openFiles(), before)
})
