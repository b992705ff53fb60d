import fc from 'fast-check'
import { algorithms } from '../../lib/object/algorithm.js'
import type { Application } from '../../lib/object/application.js'
import type { ApplicationConfig } from '../../lib/object/application-config.js'
import type { ApplicationExtension } from '../../lib/object/application-extension.js'
import type { Descriptor, ObjectLink } from '../../lib/object/descriptor.js'
import { type Digest, parseDigestBytes } from '../../lib/object/digest.js'
import {
  compareEntries,
  type DirectoryEntry,
  type DirectoryLink,
} from '../../lib/object/directory.js'
import { type EntryKind, modeOf } from '../../lib/object/file-mode.js'
import type { Header, Xattr } from '../../lib/object/header.js'
import type { Tag } from '../../lib/object/tag-list.js'
import { findTagName } from '../../lib/object/tag-name.js'

/** Buffers of any bytes. */
export function anyBytes(lengths: {
  minLength?: number
  maxLength: number
}): fc.Arbitrary<Buffer> {
  return fc.uint8Array(lengths).map(bytes => Buffer.from(bytes))
}

// Without it, fast-check also makes objects that have no prototype, as no decoder does.
function plainRecord<Value>(
  members: {
    [Key in keyof Value]: fc.Arbitrary<Value[Key]>
  },
): fc.Arbitrary<Value> {
  return fc.record(members, { noNullPrototype: true })
}

/** Digests of one algorithm, or of every known one. */
function anyDigest(id?: number): fc.Arbitrary<Digest> {
  const chosen = algorithms.filter(algorithm => id === undefined || algorithm.id === id)
  return fc
    .constantFrom(...chosen)
    .chain(algorithm =>
      fc
        .uint8Array({ minLength: algorithm.hashBytes, maxLength: algorithm.hashBytes })
        .map(hash => parseDigestBytes(Uint8Array.of(algorithm.id, ...hash))),
    )
}

/** References whose size is at least `least`. */
function anyLink(least: number, id?: number): fc.Arbitrary<ObjectLink> {
  return plainRecord({
    digest: anyDigest(id),
    size: fc.oneof(
      fc.integer({ min: least, max: 5000 }),
      fc.maxSafeInteger().map(size => Math.max(Math.abs(size), least)),
    ),
  })
}

/** References to directories, with totals. */
function anyDirectoryLink(id?: number): fc.Arbitrary<DirectoryLink> {
  return fc
    .tuple(
      anyLink(4, id),
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    )
    .map(([link, subObjectCount, subObjectsSize]) => ({
      ...link,
      subObjectCount,
      subObjectsSize,
    }))
}

/** Descriptors of every type. */
export const anyDescriptor: fc.Arbitrary<Descriptor> = fc.oneof(
  fc
    .tuple(fc.constantFrom('file' as const, 'header' as const), anyLink(0))
    .map(([type, link]) => ({ ...link, type, subObjectCount: 0, subObjectsSize: 0n })),
  fc
    .tuple(
      fc.constantFrom('directory' as const, 'application' as const),
      anyDirectoryLink(),
    )
    .map(([type, link]) => ({ ...link, type })),
)

const anyXattrs: fc.Arbitrary<Xattr[]> = fc
  .uniqueArray(
    plainRecord({
      key: anyBytes({ minLength: 1, maxLength: 20 }).filter(key => !key.includes(0)),
      value: anyBytes({ maxLength: 40 }),
    }),
    { selector: ({ key }) => key.toString('hex'), maxLength: 5 },
  )
  .map(xattrs => xattrs.toSorted((one, other) => Buffer.compare(one.key, other.key)))

const kinds: readonly EntryKind[] = [
  'regular',
  'directory',
  'symlink',
  'block-device',
  'char-device',
  'fifo',
  'socket',
]

const anyU32 = fc.integer({ min: 0, max: 0xffff_ffff })

/** Headers in strict form. */
export const anyHeader: fc.Arbitrary<Header> = plainRecord({
  kind: fc.constantFrom(...kinds),
  permissions: fc.integer({ min: 0, max: 0o7777 }),
  rdev: anyU32,
  uid: anyU32,
  gid: anyU32,
  xattrs: anyXattrs,
}).map(({ kind, permissions, rdev, ...rest }) => ({
  ...rest,
  mode: modeOf(kind, permissions),
  rdev: kind.endsWith('device') ? rdev : 0,
}))

/** Names that an entry may have. */
const anyName: fc.Arbitrary<Buffer> = fc
  .oneof(
    anyBytes({ minLength: 1, maxLength: 12 }),
    anyBytes({ minLength: 250, maxLength: 255 }),
  )
  .map(name => Buffer.from(name.map(byte => (byte === 0 || byte === 0x2f ? 0x61 : byte))))
  .filter(name => name.toString('latin1') !== '.' && name.toString('latin1') !== '..')

function anyEntry(id: number): fc.Arbitrary<DirectoryEntry> {
  const common = { name: anyName, header: anyLink(18, id) }
  return fc.oneof(
    plainRecord({
      ...common,
      kind: fc.constant('regular' as const),
      file: anyLink(0, id),
    }),
    plainRecord({
      ...common,
      kind: fc.constant('directory' as const),
      directory: anyDirectoryLink(id),
    }),
    plainRecord({
      ...common,
      kind: fc.constant('symlink' as const),
      target: anyBytes({ minLength: 1, maxLength: 60 }).filter(
        target => !target.includes(0),
      ),
    }),
    plainRecord({
      ...common,
      kind: fc.constantFrom(
        'block-device' as const,
        'char-device' as const,
        'fifo' as const,
        'socket' as const,
        'unknown' as const,
      ),
    }),
  )
}

/** Directories in strict form, of digests of one algorithm. */
export function anyDirectory(id: number): fc.Arbitrary<DirectoryEntry[]> {
  return fc
    .uniqueArray(anyEntry(id), {
      selector: ({ name }) => name.toString('hex'),
      maxLength: 8,
    })
    .map(entries => entries.toSorted(compareEntries))
}

/** Text that has a UTF-8 form. */
const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.string(),
  fc.string({ unit: 'grapheme' }),
)

function maybe<Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> {
  return fc.option(value, { nil: undefined })
}

/** Leaves out what is undefined, as optional members of our types are absent. */
function present<Value extends object>(
  record: Value,
): {
  [Key in keyof Value]?: Exclude<Value[Key], undefined>
} {
  return Object.fromEntries(
    Object.entries(record).filter(([, value]) => value !== undefined),
  ) as { [Key in keyof Value]?: Exclude<Value[Key], undefined> }
}

const anyLabels = fc.dictionary(anyText, anyText, { maxKeys: 4, noNullPrototype: true })

/** Configs that say something. */
const anyConfig: fc.Arbitrary<ApplicationConfig> = plainRecord({
  command: maybe(fc.array(anyText, { maxLength: 4 })),
  environment: maybe(fc.array(anyText, { maxLength: 4 })),
  workingFolder: maybe(anyText),
  user: maybe(anyText),
  labels: maybe(anyLabels),
  annotations: maybe(anyLabels),
})
  .map(present)
  .filter(config => Object.keys(config).length > 0)

/** Hard-link groups in their one form, of ordinals up to `last`. */
function anyHardLinks(last: number): fc.Arbitrary<number[][]> {
  return fc
    .uniqueArray(fc.integer({ min: 1, max: last }), { minLength: 2, maxLength: 30 })
    .map(ordinals => {
      const groups: number[][] = []
      for (let start = 0; start + 1 < ordinals.length; start += 3) {
        const group = ordinals.slice(start, start + 3)
        if (group.length > 1) groups.push(group.toSorted((one, other) => one - other))
      }
      return groups.toSorted((one, other) => (one[0] ?? 0) - (other[0] ?? 0))
    })
}

/** Encoded CBOR items of every kind, some outside the subset of known members. */
const anyCborItem: fc.Arbitrary<Buffer> = fc.constantFrom(
  ...[
    '00',
    '3903e7',
    'f4',
    'f6',
    'f90001',
    'fa47c35000',
    'fb3ff199999999999a',
    'f97e00',
    'f8ff',
    'c11a514b67b0',
    'd9d9f7820102',
    'a2820102f6f501',
    '644142c3a9',
    '8301820203820405',
    '5818000102030405060708090a0b0c0d0e0f1011121314151617',
  ].map(hex => Buffer.from(hex, 'hex')),
)

/** Extensions with every member, of ordinals up to `last`. */
export function anyExtension(last: number): fc.Arbitrary<ApplicationExtension> {
  const unknown = fc
    .uniqueArray(
      plainRecord({
        key: fc.bigInt({ min: 64n, max: 2n ** 64n - 1n }),
        encoded: anyCborItem,
      }),
      { selector: ({ key }) => key, minLength: 1, maxLength: 4 },
    )
    .map(members => members.toSorted((one, other) => (one.key < other.key ? -1 : 1)))
  return plainRecord({
    config: maybe(anyConfig),
    parents: maybe(fc.array(anyDigest(), { minLength: 1, maxLength: 3 })),
    created: maybe(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
    hardLinks: maybe(anyHardLinks(last)),
    modificationTimes: maybe(anyBytes({ minLength: 1, maxLength: 40 })),
    unknown: maybe(unknown),
  })
    .map(present)
    .filter(extension => Object.keys(extension).length > 0)
}

/** Applications with and without extension, of digests of one algorithm. */
export function anyApplication(id: number): fc.Arbitrary<Application> {
  return fc
    .tuple(anyLink(18, id), anyDirectoryLink(id))
    .chain(([rootHeader, rootDirectory]) => {
      const directory = { ...rootDirectory, subObjectCount: 1_000_000 }
      return maybe(anyExtension(1_000_000)).map(extension =>
        extension === undefined
          ? { rootHeader, rootDirectory }
          : { rootHeader, rootDirectory: directory, extension },
      )
    })
}

/** Tag lists in byte order of names. */
export const anyTags: fc.Arbitrary<Tag[]> = fc
  .uniqueArray(
    fc.tuple(fc.stringMatching(/^[0-9A-Za-z_][0-9A-Za-z_.-]{0,20}$/), anyDescriptor),
    { selector: ([name]) => name, maxLength: 6 },
  )
  .map(tags =>
    tags
      .flatMap(([text, descriptor]) => {
        const name = findTagName(text)
        return name === undefined ? [] : [{ name, descriptor }]
      })
      .toSorted((one, other) => (one.name < other.name ? -1 : 1)),
  )

/** Valid bytes with a few bytes changed, added or cut away. */
export function damaged(valid: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  return fc
    .tuple(
      valid,
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
      fc.oneof(fc.constant(undefined), fc.nat()),
      anyBytes({ maxLength: 3 }),
    )
    .map(([bytes, changes, cut, added]) => {
      const copy = Buffer.concat([bytes, added])
      for (const [place, value] of changes) {
        if (copy.length > 0) copy[place % copy.length] = value
      }
      return cut === undefined ? copy : copy.subarray(0, cut % (copy.length + 1))
    })
}
