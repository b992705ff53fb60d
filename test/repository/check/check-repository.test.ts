import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { encodeApplication } from '../../../lib/object/application.js'
import {
  type Descriptor,
  encodeDescriptor,
  noSubObjects,
  type ObjectLink,
} from '../../../lib/object/descriptor.js'
import {
  type Directory,
  encodeDirectory,
  totalsOf,
} from '../../../lib/object/directory.js'
import { encodeHeader } from '../../../lib/object/header.js'
import type { CheckOptions } from '../../../lib/repository/check/check-repository.js'
import type { Finding } from '../../../lib/repository/check/finding.js'
import type { Repository } from '../../../lib/repository/repository.js'
import {
  makeRepository,
  objectPath,
  placeObject,
  storeSmallTree,
  storeSmallTrees,
} from '../../support/scratch-repository.js'

async function check(
  repository: Repository,
  options: CheckOptions = {},
): Promise<Finding[]> {
  const findings: Finding[] = []
  for await (const finding of repository.check(options)) findings.push(finding)
  return findings
}

const fileHeader = { mode: 0o644, rdev: 0, uid: 0, gid: 0, xattrs: [] }
const folderHeader = { ...fileHeader, mode: 0x800001ed }

type Tree = {
  readonly application: Descriptor
  readonly files: readonly ObjectLink[]
  readonly header: ObjectLink
  readonly directory: ObjectLink
}

/** Files `0`, `1` … with the given contents under one root, placed by hand. */
function placeTree(repository: Repository, contents: readonly string[]): Tree {
  const header = placeObject(repository, 'header', encodeHeader(fileHeader))
  const rootHeader = placeObject(repository, 'header', encodeHeader(folderHeader))
  const files = contents.map(text => placeObject(repository, 'file', Buffer.from(text)))
  const entries: Directory = files.map((file, index) => ({
    kind: 'regular' as const,
    name: Buffer.from(String(index)),
    header,
    file,
  }))
  const directory = placeObject(repository, 'directory', encodeDirectory(entries))
  const totals = totalsOf(entries)
  const rootDirectory = { ...directory, ...totals }
  const payload = encodeApplication({ rootHeader, rootDirectory })
  const application = {
    ...placeObject(repository, 'application', payload),
    type: 'application' as const,
    subObjectCount: 2 + totals.subObjectCount,
    subObjectsSize: BigInt(rootHeader.size + directory.size) + totals.subObjectsSize,
  }
  return { application, files, header, directory }
}

function flipByte(path: string, offset: number): void {
  const bytes = readFileSync(path)
  bytes.writeUInt8(bytes.readUInt8(offset) ^ 1, offset)
  writeFileSync(path, bytes)
}

t.test('finds nothing in a sound repository, and counts what it verified', async t => {
  const repository = await makeRepository(t.testdir())
  const { application } = placeTree(repository, ['one', 'two', 'two'])
  await repository.tags.set('tree', application)
  await repository.mounts.add((await storeSmallTree(repository, 1)).digest)
  let verified = 0
  const onProgress = ({ objects }: { objects: number }): void => {
    verified = objects
  }
  t.same(await check(repository, { onProgress }), [])
  // Application, folder, two headers, two files; application, header and empty folder.
  t.equal(verified, 9)
  t.same(await check(repository, { objects: 'all', onProgress }), [])
  t.equal(verified, 9)
})

t.test('reports every bad object and goes on', async t => {
  const repository = await makeRepository(t.testdir())
  const { root } = repository
  const contents = Array.from({ length: 10 }, (_, index) => `content ${index}`)
  const { application, files, header } = placeTree(repository, contents)
  await repository.tags.set('tree', application)
  const [flipped, cut, missing, typed] = files.map(({ digest }) => digest)
  if (!flipped || !cut || !missing || !typed) throw new Error('four files')
  flipByte(objectPath(root, flipped), 5)
  truncateSync(objectPath(root, cut), 4)
  rmSync(objectPath(root, missing))
  flipByte(objectPath(root, typed), 0)
  flipByte(objectPath(root, header.digest), 3)
  const findings = await check(repository)
  t.same(
    new Map(findings.map(({ where, kind }) => [where, kind])),
    new Map([
      [flipped, 'corrupt-object'],
      [cut, 'contradicted-object'],
      [missing, 'missing-object'],
      [typed, 'contradicted-object'],
      [header.digest, 'corrupt-object'],
    ]),
  )
  for (const { severity } of findings) t.equal(severity, 'error')
  t.match(
    findings.find(({ where }) => where === flipped),
    { expected: flipped, found: /^0a/ },
  )
})

t.test('goes on behind a folder that is gone', async t => {
  const repository = await makeRepository(t.testdir())
  const { root, tags } = repository
  const first = placeTree(repository, ['one'])
  const second = placeTree(repository, ['one', 'two'])
  await tags.set('first', first.application)
  await tags.set('second', second.application)
  rmSync(objectPath(root, first.directory.digest))
  flipByte(objectPath(root, second.files[1]?.digest ?? ''), 2)
  const findings = await check(repository)
  t.same(findings.map(({ kind }) => kind).toSorted(), [
    'corrupt-object',
    'missing-object',
  ])
})

t.test('tells references with wrong totals', async t => {
  const repository = await makeRepository(t.testdir())
  const inner = placeObject(repository, 'directory', encodeDirectory([]))
  const header = placeObject(repository, 'header', encodeHeader(folderHeader))
  const lie = { ...inner, subObjectCount: 3, subObjectsSize: 5n }
  const payload = encodeApplication({ rootHeader: header, rootDirectory: lie })
  const application: Descriptor = {
    ...placeObject(repository, 'application', payload),
    type: 'application',
    subObjectCount: 5,
    subObjectsSize: BigInt(header.size + inner.size) + 5n,
  }
  writeFileSync(join(repository.root, 'refs/tags/lie'), encodeDescriptor(application))
  t.match(await check(repository), [
    {
      severity: 'error',
      kind: 'wrong-totals',
      where: inner.digest,
      expected: '0 objects of 0 bytes',
      found: '3 objects of 5 bytes',
    },
  ])
})

t.test('warns of objects that a strict reader refuses', async t => {
  const repository = await makeRepository(t.testdir())
  const sloppy = Buffer.concat([encodeHeader(folderHeader), Buffer.from('more')])
  const header = placeObject(repository, 'header', sloppy)
  const directory = placeObject(repository, 'directory', encodeDirectory([]))
  const rootDirectory = { ...directory, ...noSubObjects }
  const payload = encodeApplication({ rootHeader: header, rootDirectory })
  const application: Descriptor = {
    ...placeObject(repository, 'application', payload),
    type: 'application',
    subObjectCount: 2,
    subObjectsSize: BigInt(header.size + directory.size),
  }
  await repository.tags.set('sloppy', application)
  t.match(await check(repository), [
    { severity: 'warning', kind: 'not-strict', where: header.digest },
  ])
})

t.test('looks only where a reference leads when it is given one', async t => {
  const repository = await makeRepository(t.testdir())
  const [good, bad] = await storeSmallTrees(repository, [1, 2])
  if (!good || !bad) throw new Error('two trees')
  await repository.tags.set('good', good)
  await repository.tags.set('bad', bad)
  rmSync(objectPath(repository.root, bad.digest))
  t.same(await check(repository, { refs: ['good'] }), [])
  t.match(await check(repository, { refs: ['good', 'bad'] }), [
    { kind: 'missing-object', where: bad.digest },
  ])
  t.same(await check(repository, { refs: [good.digest] }), [])
  await t.rejects(check(repository, { refs: ['nothing'] }), { code: 'ref_not_found' })
})

t.test('looks at what nothing refers to only when it is told to', async t => {
  const repository = await makeRepository(t.testdir())
  const { root } = repository
  const { files, directory } = placeTree(repository, ['one', 'two'])
  const [gone, bad] = files.map(({ digest }) => digest)
  rmSync(objectPath(root, gone ?? ''))
  flipByte(objectPath(root, bad ?? ''), 1)
  const broken = placeObject(repository, 'directory', Buffer.from('no directory'))
  t.same(await check(repository), [])
  const findings = await check(repository, { objects: 'all' })
  t.match(
    findings.toSorted((one, other) => one.kind.localeCompare(other.kind)),
    [
      { kind: 'corrupt-object' },
      { kind: 'invalid-object' },
      { kind: 'missing-object', where: gone, message: new RegExp(directory.digest) },
    ],
  )
  t.same(new Set(findings.map(({ where }) => where)), new Set([gone, bad, broken.digest]))
})

t.test('reports tag files, logs, foreign names and leftovers', async t => {
  const repository = await makeRepository(t.testdir())
  const { root, tags } = repository
  const [first, second] = await storeSmallTrees(repository, [1, 2])
  if (!first || !second) throw new Error('two trees')
  await tags.set('one', first)
  await tags.set('one', second)
  await tags.set('two', first)
  writeFileSync(join(root, 'refs/tags/two'), '')
  flipByte(join(root, 'logs/tags/one'), 9)
  writeFileSync(join(root, 'refs/tags/.swp'), '')
  writeFileSync(join(root, 'temp/123456'), '')
  writeFileSync(join(root, 'sessions/77'), '')
  const findings = await check(repository)
  t.match(
    findings.map(({ severity, kind, where }) => ({ severity, kind, where })),
    [
      { severity: 'warning', kind: 'foreign-file', where: join(root, 'refs/tags/.swp') },
      { severity: 'error', kind: 'tag-file', where: join(root, 'refs/tags/two') },
      { severity: 'error', kind: 'tag-log', where: join(root, 'logs/tags/one') },
      { severity: 'notice', kind: 'dead-session', where: join(root, 'sessions/77') },
      { severity: 'notice', kind: 'temp-file', where: join(root, 'temp/123456') },
    ],
  )
})

t.test('only warns when a past value of a tag is gone', async t => {
  const repository = await makeRepository(t.testdir())
  const [first, second] = await storeSmallTrees(repository, [1, 2])
  if (!first || !second) throw new Error('two trees')
  await repository.tags.set('one', first)
  await repository.tags.set('one', second)
  rmSync(objectPath(repository.root, first.digest))
  t.match(await check(repository), [
    { severity: 'warning', kind: 'missing-object', where: first.digest },
  ])
})

t.test('reports a mounted application that is gone', async t => {
  const repository = await makeRepository(t.testdir())
  const { digest } = await storeSmallTree(repository, 1)
  await repository.mounts.add(digest)
  rmSync(objectPath(repository.root, digest))
  t.match(await check(repository), [
    { severity: 'error', kind: 'missing-object', where: digest },
  ])
})

t.test('ends with the reason of its signal', async t => {
  const repository = await makeRepository(t.testdir())
  await repository.tags.set('tree', placeTree(repository, ['one']).application)
  const reason = new Error('enough')
  await t.rejects(check(repository, { signal: AbortSignal.abort(reason) }), reason)
})
