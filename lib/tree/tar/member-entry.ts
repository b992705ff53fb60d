import { findRdev } from '../../object/device-number.js'
import { maxOwnerId } from '../checkout/owner-map.js'
import { type ArchivePlace, archiveLimit, invalidArchive } from './archive-error.js'
import type { PaxHeader } from './pax-header.js'
import type { TarEntry } from './tar-entry.js'
import { maxPathBytes, maxTargetBytes, type TarKind } from './tar-format.js'
import { numberField, type TarHeader } from './tar-header.js'

/** What the headers of one entry say together. */
export type MemberFacts = {
  readonly header: TarHeader
  readonly pax: PaxHeader
  readonly path: Buffer
  readonly target: Buffer
  /** Content bytes that the headers name, holes counted in. */
  readonly size: number
  readonly place: ArchivePlace
}

const noBytes = Buffer.alloc(0)

const kindOfType: ReadonlyMap<string, TarKind> = new Map([
  ['0', 'regular'],
  ['\0', 'regular'],
  // A contiguous file, which nothing makes any more; and an old GNU sparse one.
  ['7', 'regular'],
  ['S', 'regular'],
  ['1', 'hard-link'],
  ['2', 'symlink'],
  ['3', 'char-device'],
  ['4', 'block-device'],
  ['5', 'directory'],
  ['6', 'fifo'],
])

/** Says what an entry is; throws InvalidArchiveError and LimitExceededError. */
export function describeMember(facts: MemberFacts): TarEntry {
  const { header, pax, path, size, place } = facts
  const kind = kindOf(facts)
  checkPath(path, place)
  if (kind !== 'regular' && size !== 0) {
    throw invalidArchive(place, `a ${kind} with content`, { found: `${size} bytes` })
  }
  const mode = numberField(header.block, 'mode', place)
  return {
    path,
    kind,
    // Some programs write the bits of the type here, too.
    permissions: mode & 0o7777,
    uid: ownerOf('uid', pax.uid, facts),
    gid: ownerOf('gid', pax.gid, facts),
    rdev: rdevOf(kind, facts),
    size,
    time: pax.time ?? {
      seconds: BigInt(numberField(header.block, 'time', place)),
      nanoseconds: 0,
    },
    target: targetOf(kind, facts),
    xattrs: pax.xattrs,
  }
}

function kindOf({ header, path, size, place }: MemberFacts): TarKind {
  const kind = kindOfType.get(header.type)
  if (kind === undefined) {
    throw invalidArchive(place, 'unknown type of entry', {
      expected: '0 to 7 or S',
      found: JSON.stringify(header.type),
    })
  }
  // Archives from before there was a type for folders mark them by a slash.
  if (kind !== 'regular' || path.at(-1) !== 0x2f) return kind
  if (size === 0) return 'directory'
  throw invalidArchive(place, 'a file whose name ends in a slash')
}

function checkPath(path: Buffer, place: ArchivePlace): void {
  if (path.length === 0) throw invalidArchive(place, 'an entry without a name')
  if (path.length > maxPathBytes) {
    throw archiveLimit(place, 'bytes of a name', {
      expected: maxPathBytes,
      found: path.length,
    })
  }
}

function ownerOf(
  name: 'uid' | 'gid',
  told: number | undefined,
  { header, place }: MemberFacts,
): number {
  const id = told ?? numberField(header.block, name, place)
  if (id <= maxOwnerId) return id
  throw invalidArchive(place, `impossible ${name}`, {
    expected: `at most ${maxOwnerId}`,
    found: id,
  })
}

function rdevOf(kind: TarKind, { header, place }: MemberFacts): number {
  if (kind !== 'char-device' && kind !== 'block-device') return 0
  const major = numberField(header.block, 'major', place)
  const minor = numberField(header.block, 'minor', place)
  const rdev = findRdev({ major, minor })
  if (rdev !== undefined) return rdev
  throw invalidArchive(place, 'impossible device', {
    expected: 'at most 4095 and 1048575',
    found: `${major} and ${minor}`,
  })
}

function targetOf(kind: TarKind, { target, place }: MemberFacts): Buffer {
  if (kind !== 'symlink' && kind !== 'hard-link') return noBytes
  const most = kind === 'symlink' ? maxTargetBytes : maxPathBytes
  if (target.length === 0) throw invalidArchive(place, 'a link without a target')
  if (target.length <= most) return target
  throw archiveLimit(place, 'bytes of a link target', {
    expected: most,
    found: target.length,
  })
}
