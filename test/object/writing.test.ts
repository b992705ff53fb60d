import t from 'tap'
import { InvalidObjectError, NotRepresentableError } from '../../lib/errors.js'
import { encodeApplication } from '../../lib/object/application.js'
import {
  encodeDescriptor,
  leafDescriptor,
  sameDescriptor,
} from '../../lib/object/descriptor.js'
import { parseDigest } from '../../lib/object/digest.js'
import {
  type DirectoryEntry,
  directoryDependencies,
  encodeDirectory,
} from '../../lib/object/directory.js'
import { encodeHeader, type Header, type Xattr } from '../../lib/object/header.js'
import { dependenciesOf } from '../../lib/object/received-object.js'

const digest = parseDigest(`05${'ab'.repeat(32)}`)
const header = { digest, size: 18 }
const plain: Header = { mode: 0o644, rdev: 0, uid: 0, gid: 0, xattrs: [] }

function file(name: string | Buffer): DirectoryEntry {
  return {
    name: Buffer.from(name),
    kind: 'regular',
    header,
    file: { digest, size: 1 },
  }
}

function directory(name: string): DirectoryEntry {
  const totals = { subObjectCount: 0, subObjectsSize: 0n }
  return {
    name: Buffer.from(name),
    kind: 'directory',
    header,
    directory: { digest, size: 4, ...totals },
  }
}

t.test('writes no directory that a strict reader refuses', async t => {
  const refused: readonly (readonly DirectoryEntry[])[] = [
    [file('')],
    [file('.')],
    [file('..')],
    [file('a/b')],
    [file('a\0b')],
    [file('x'.repeat(256))],
    [file('b'), file('a')],
    [file('a'), file('a')],
    [file('a'), directory('b')],
    [directory('a'), file('a')],
    [{ name: Buffer.from('l'), kind: 'symlink', header, target: Buffer.alloc(0) }],
  ]
  for (const entries of refused) {
    t.throws(() => encodeDirectory(entries), InvalidObjectError)
  }
  t.doesNotThrow(() => encodeDirectory([directory('b'), file('a'), file('c')]))
  t.doesNotThrow(() => encodeDirectory([file('x'.repeat(255))]))
})

t.test('orders names by bytes, not by characters', async t => {
  const names = ['Zeta', '_under', 'alpha', '~tilde', '\ufffd', '\u{10000}']
  t.doesNotThrow(() => encodeDirectory(names.map(file)))
})

t.test('writes no header that a strict reader refuses', async t => {
  const refused: readonly Header[] = [
    { ...plain, xattrs: [xattr('b'), xattr('a')] },
    { ...plain, xattrs: [xattr('a'), xattr('a')] },
    { ...plain, xattrs: [xattr('')] },
    { ...plain, xattrs: [xattr('a\0')] },
    { ...plain, rdev: 1 },
    { ...plain, mode: 0x8800_0000 },
    { ...plain, mode: 0x0000_0200 },
  ]
  for (const wrong of refused) t.throws(() => encodeHeader(wrong), InvalidObjectError)
})

t.test('never cuts a value to its field, and names what does not fit', async t => {
  const key = Buffer.from('user.large\n')
  const xattrs = [{ key, value: Buffer.alloc(65_536) }]
  t.throws(() => encodeHeader({ ...plain, xattrs }), {
    name: 'NotRepresentableError',
    message: /user\.large\\x0a is too long: expected at most 65535 bytes, found 65536/,
  })
  const many = Array.from({ length: 65_536 }, () => ({ key, value: key }))
  t.throws(() => encodeHeader({ ...plain, xattrs: many }), NotRepresentableError)
  for (const uid of [-1, 2 ** 32, 0.5, Number.NaN]) {
    t.throws(() => encodeHeader({ ...plain, uid }), NotRepresentableError)
  }
  const largest = [{ key, value: Buffer.alloc(65_535) }]
  t.equal(encodeHeader({ ...plain, xattrs: largest }).length, 18 + 4 + 11 + 65_535)
  for (const size of [-1, 2 ** 53, 0.5]) {
    const link = leafDescriptor('file', { digest, size })
    t.throws(() => encodeDescriptor(link), NotRepresentableError)
  }
  for (const subObjectsSize of [-1n, 2n ** 64n]) {
    const rootDirectory = { ...header, subObjectCount: 0, subObjectsSize }
    t.throws(
      () => encodeApplication({ rootHeader: header, rootDirectory }),
      NotRepresentableError,
    )
  }
})

t.test('an entry refers to its header first, then to its object', async t => {
  const payload = encodeDirectory([directory('d'), file('f')])
  const types = ['header', 'directory', 'header', 'file']
  const dependencies = dependenciesOf('directory', payload, 'strict')
  t.same(
    dependencies.map(({ type }) => type),
    types,
  )
  t.same(dependencies, directoryDependencies([directory('d'), file('f')]))
})

t.test('descriptors are the same when all their fields are', async t => {
  const one = leafDescriptor('file', { digest, size: 1 })
  t.ok(sameDescriptor(one, { ...one }))
  const others = [
    { ...one, digest: parseDigest(`0a${'ab'.repeat(32)}`) },
    { ...one, size: 2 },
    { ...one, type: 'header' as const },
    { ...one, subObjectCount: 1 },
    { ...one, subObjectsSize: 1n },
  ]
  for (const other of others) t.notOk(sameDescriptor(one, other))
})

function xattr(key: string): Xattr {
  return { key: Buffer.from(key), value: Buffer.alloc(0) }
}
