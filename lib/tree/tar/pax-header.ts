import type { Xattr } from '../../object/header.js'
import type { ModificationTime } from '../../object/modification-times.js'
import {
  type ArchivePlace,
  archiveLimit,
  invalidArchive,
  showArchivePath,
} from './archive-error.js'
import { decodePaxRecords, type PaxRecord } from './pax-records.js'
import { aclRecords, findAclAttribute } from './posix-acl.js'
import { maxSparseParts } from './tar-format.js'
import { decodeXattrKey, unescapePercent } from './xattr-key.js'

/** What extended headers tell that no cairn tree can hold. */
export type LostFact = 'acl' | 'selinux' | 'file-flags'

/** What an extended header says of the entry behind it; a member that it lacks is undefined. */
export type PaxHeader = {
  readonly path?: Buffer
  readonly target?: Buffer
  readonly size?: number
  readonly uid?: number
  readonly gid?: number
  readonly time?: ModificationTime
  readonly xattrs: readonly Xattr[]
  readonly sparse: PaxSparse
  readonly lost: readonly LostFact[]
}

/** The members of GNU.sparse.*, as they stand in the header. */
type PaxSparse = {
  readonly major?: number
  readonly minor?: number
  readonly name?: Buffer
  readonly realSize?: number
  /** Offset and length alternating: versions 0.0 and 0.1. */
  readonly map?: readonly number[]
}

/** Nothing said. */
export const noPax: PaxHeader = { xattrs: [], sparse: {}, lost: [] }

const maxXattrs = 65_535
const maxXattrBytes = 65_535

const lostFacts: ReadonlyMap<string, LostFact> = new Map([
  ['RHT.security.selinux', 'selinux'],
  ['SCHILY.fflags', 'file-flags'],
])

/**
 * Reads an extended header; throws InvalidArchiveError and LimitExceededError.
 *
 * Of two records with one key the later counts; one without a value takes the earlier
 * away, as POSIX says. Keys that nobody knows mean nothing.
 *
 * @param scope - `global` for what holds for all entries to come: no entry's own facts
 *   may stand there
 */
export function decodePaxHeader(
  bytes: Buffer,
  place: ArchivePlace,
  scope: 'entry' | 'global',
): PaxHeader {
  const reading = new PaxReading(place)
  for (const record of decodePaxRecords(bytes, place)) {
    const key = record.key.toString('latin1')
    if (scope === 'global' && isOwnFact(key)) {
      throw invalidArchive(place, `a global header holds ${key}`)
    }
    reading.add(key, record)
  }
  return reading.finish()
}

function isOwnFact(key: string): boolean {
  return (
    key === 'path' ||
    key === 'linkpath' ||
    key === 'size' ||
    key.startsWith('GNU.sparse.') ||
    key.startsWith('SCHILY.xattr.') ||
    key.startsWith('LIBARCHIVE.xattr.')
  )
}

type Scalars = Pick<PaxHeader, 'path' | 'target' | 'size' | 'uid' | 'gid' | 'time'>

class PaxReading {
  readonly #place: ArchivePlace
  #scalars: Scalars = {}
  #sparse: Omit<PaxSparse, 'map'> = {}
  #map: number[] | undefined
  readonly #xattrs = new Map<string, Buffer>()
  readonly #acls = new Map<string, Buffer>()
  readonly #lost = new Set<LostFact>()

  constructor(place: ArchivePlace) {
    this.#place = place
  }

  add(key: string, { value }: PaxRecord): void {
    if (key.startsWith('SCHILY.xattr.')) {
      this.#addXattr(decodeXattrKey(key.slice('SCHILY.xattr.'.length)), value)
    } else if (key.startsWith('LIBARCHIVE.xattr.')) {
      this.#addEncodedXattr(key.slice('LIBARCHIVE.xattr.'.length), value)
    } else if (key.startsWith('GNU.sparse.')) {
      this.#addSparse(key.slice('GNU.sparse.'.length), value)
    } else if (key.startsWith('SCHILY.acl.')) this.#acls.set(key, Buffer.from(value))
    else this.#addScalar(key, value)
    const lost = lostFacts.get(key)
    if (lost !== undefined && value.length > 0) this.#lost.add(lost)
  }

  finish(): PaxHeader {
    this.#addAcls()
    const xattrs = [...this.#xattrs]
      .map(([key, value]) => ({ key: Buffer.from(key, 'latin1'), value }))
      .toSorted((one, other) => Buffer.compare(one.key, other.key))
    const sparse =
      this.#map === undefined ? this.#sparse : { ...this.#sparse, map: this.#map }
    return { ...this.#scalars, xattrs, sparse, lost: [...this.#lost] }
  }

  #addScalar(key: string, value: Buffer): void {
    const name = scalarNames.get(key)
    if (name === undefined) return
    const { [name]: _, ...others } = this.#scalars
    this.#scalars = others
    if (value.length === 0) return
    switch (name) {
      case 'path':
      case 'target':
        this.#checkText(key, value)
        this.#scalars = { ...others, [name]: Buffer.from(value) }
        break
      case 'size':
      case 'uid':
      case 'gid':
        this.#scalars = { ...others, [name]: this.#number(key, value) }
        break
      case 'time':
        this.#scalars = { ...others, time: this.#time(value) }
        break
      default:
        name satisfies never
    }
  }

  #addXattr(key: string, value: Buffer): void {
    this.#checkText('the key of an extended attribute', Buffer.from(key, 'latin1'))
    if (key.length === 0 || key.length > 255) {
      throw archiveLimit(this.#place, 'bytes of the key of an extended attribute', {
        expected: 255,
        found: key.length,
      })
    }
    if (value.length > maxXattrBytes) {
      const shown = showArchivePath(Buffer.from(key, 'latin1'))
      throw archiveLimit(this.#place, `bytes of extended attribute ${shown}`, {
        expected: maxXattrBytes,
        found: value.length,
      })
    }
    this.#xattrs.set(key, Buffer.from(value))
    if (this.#xattrs.size > maxXattrs) {
      throw archiveLimit(this.#place, 'extended attributes of an entry', {
        expected: maxXattrs,
        found: this.#xattrs.size,
      })
    }
  }

  // bsdtar writes each attribute a second time, key and value encoded.
  #addEncodedXattr(encodedKey: string, encoded: Buffer): void {
    const text = encoded.toString('latin1')
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
      throw invalidArchive(this.#place, `an extended attribute is not in base64`)
    }
    const key = unescapePercent(encodedKey)
    if (!this.#xattrs.has(key)) this.#addXattr(key, Buffer.from(text, 'base64'))
  }

  // Where the list stands as an attribute, too, that is exact.
  #addAcls(): void {
    for (const { attribute, record } of aclRecords) {
      const text = this.#acls.get(record)
      this.#acls.delete(record)
      if (text === undefined || this.#xattrs.has(attribute)) continue
      const value = findAclAttribute(text.toString('latin1'))
      if (value === undefined) this.#lost.add('acl')
      else if (value.length > 0) this.#addXattr(attribute, value)
    }
    // Other kinds of lists than those of Linux.
    if (this.#acls.size > 0) this.#lost.add('acl')
  }

  #addSparse(key: string, value: Buffer): void {
    switch (key) {
      case 'major':
      case 'minor':
        this.#sparse = { ...this.#sparse, [key]: this.#number(key, value) }
        break
      case 'realsize':
      case 'size':
        this.#sparse = { ...this.#sparse, realSize: this.#number(key, value) }
        break
      case 'name':
        this.#checkText(key, value)
        this.#sparse = { ...this.#sparse, name: Buffer.from(value) }
        break
      case 'map':
        this.#map = []
        for (const part of splitNumbers(value)) this.#addToMap(part)
        break
      case 'offset':
      case 'numbytes':
        this.#map ??= []
        if ((this.#map.length % 2 === 0) !== (key === 'offset')) {
          throw invalidArchive(this.#place, 'a sparse map is out of order')
        }
        this.#addToMap(value)
        break
      case 'numblocks':
        // The map itself tells.
        break
      default:
        throw invalidArchive(this.#place, 'unknown kind of sparse file', {
          found: `GNU.sparse.${key}`,
        })
    }
  }

  #addToMap(text: Buffer): void {
    this.#map?.push(this.#number('sparse map', text))
    if ((this.#map?.length ?? 0) > 2 * maxSparseParts) {
      throw archiveLimit(this.#place, 'parts of a sparse file', {
        expected: maxSparseParts,
        found: 'more',
      })
    }
  }

  #number(key: string, value: Buffer): number {
    const text = value.toString('latin1')
    const number = Number(text)
    if (/^\d{1,20}$/.test(text) && Number.isSafeInteger(number)) return number
    throw invalidArchive(this.#place, `impossible ${key} in an extended header`, {
      expected: 'a decimal number',
      found: JSON.stringify(text.slice(0, 40)),
    })
  }

  #time(value: Buffer): ModificationTime {
    const text = value.toString('latin1')
    const match = /^(-?)(\d{1,18})(?:\.(\d{0,100}))?$/.exec(text)
    if (match === null) {
      throw invalidArchive(this.#place, 'impossible mtime in an extended header', {
        expected: 'decimal seconds',
        found: JSON.stringify(text.slice(0, 40)),
      })
    }
    const [, sign, whole = '0', fraction = ''] = match
    const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'))
    const rest = /[1-9]/.test(fraction.slice(9)) ? 1 : 0
    if (sign === '') return { seconds: BigInt(whole), nanoseconds }
    // Below 1970 the nanoseconds still count upwards.
    const below = nanoseconds + rest
    if (below === 0) return { seconds: -BigInt(whole), nanoseconds: 0 }
    return { seconds: -BigInt(whole) - 1n, nanoseconds: 1_000_000_000 - below }
  }

  #checkText(what: string, value: Buffer): void {
    if (value.includes(0)) throw invalidArchive(this.#place, `${what} holds a NUL byte`)
  }
}

const scalarNames: ReadonlyMap<string, keyof Scalars> = new Map([
  ['path', 'path'],
  ['linkpath', 'target'],
  ['size', 'size'],
  ['uid', 'uid'],
  ['gid', 'gid'],
  ['mtime', 'time'],
])

function* splitNumbers(list: Buffer): Generator<Buffer> {
  for (let start = 0; start < list.length; ) {
    const comma = list.indexOf(0x2c, start)
    const end = comma < 0 ? list.length : comma
    yield list.subarray(start, end)
    start = end + 1
  }
}
