import { isUtf8 } from 'node:buffer'
import { splitDevice } from '../../object/device-number.js'
import type { ModificationTime } from '../../object/modification-times.js'
import { encodePaxRecord } from './pax-records.js'
import { aclRecords, findAclText } from './posix-acl.js'
import type { TarEntry } from './tar-entry.js'
import {
  blockBytes,
  type Field,
  fields,
  magics,
  paddingOf,
  type TarKind,
  typeOfKind,
} from './tar-format.js'
import { checksumOf } from './tar-header.js'
import { writeOctal } from './tar-number.js'
import { encodeXattrKey } from './xattr-key.js'

/** What ends an archive. */
export const endOfArchive = Buffer.alloc(2 * blockBytes)

const noBytes = Buffer.alloc(0)
const paxName = Buffer.from('././@PaxHeader')

/**
 * Encodes the headers of an entry: one ustar block, behind a PAX header where ustar cannot
 * say it.
 *
 * Names stand in the ustar block as they are, byte for byte, wherever they fit: every
 * reader takes those as bytes. Longer ones stand in the PAX header, as bytes too; one that
 * is no UTF-8 is announced by `hdrcharset=BINARY`, without which bsdtar would not take it.
 */
export function encodeTarEntry(entry: TarEntry): Buffer {
  const block = Buffer.alloc(blockBytes)
  const records = new Records()
  const path = splitPath(entry.path)
  put(block, fields.name, path?.name ?? entry.path)
  put(block, fields.prefix, path?.prefix ?? noBytes)
  if (path === undefined) records.addText('path', entry.path)
  put(block, fields.target, entry.target)
  if (entry.target.length > fields.target[1]) records.addText('linkpath', entry.target)
  writeNumber(block, fields.mode, entry.permissions)
  if (!writeNumber(block, fields.uid, entry.uid)) records.addNumber('uid', entry.uid)
  if (!writeNumber(block, fields.gid, entry.gid)) records.addNumber('gid', entry.gid)
  if (!writeNumber(block, fields.size, entry.size)) records.addNumber('size', entry.size)
  writeTime(block, entry.time, records)
  writeDevice(block, entry)
  for (const { key, value } of entry.xattrs) records.addXattr(key, value)
  finishBlock(block, entry.kind)
  const pax = records.finish()
  return pax.length === 0 ? block : Buffer.concat([paxHeaderOf(pax), block])
}

class Records {
  readonly #records: Buffer[] = []
  #isBinary = false

  addText(key: string, value: Buffer): void {
    this.#records.push(encodePaxRecord(key, value))
    if (!isUtf8(value)) this.#isBinary = true
  }

  addNumber(key: string, value: number | string): void {
    this.#records.push(encodePaxRecord(key, String(value)))
  }

  addXattr(key: Buffer, value: Buffer): void {
    const name = Buffer.concat([Buffer.from('SCHILY.xattr.'), encodeXattrKey(key)])
    this.#records.push(encodePaxRecord(name, value))
    // bsdtar takes access lists from nowhere else.
    const list = aclRecords.find(({ attribute }) => key.equals(Buffer.from(attribute)))
    if (list === undefined) return
    const text = findAclText(value)
    if (text !== undefined) this.#records.push(encodePaxRecord(list.record, text))
  }

  finish(): Buffer {
    const first = this.#isBinary ? [encodePaxRecord('hdrcharset', 'BINARY')] : []
    return Buffer.concat([...first, ...this.#records])
  }
}

function paxHeaderOf(records: Buffer): Buffer {
  const block = Buffer.alloc(blockBytes)
  put(block, fields.name, paxName)
  writeNumber(block, fields.mode, 0o644)
  for (const field of [fields.uid, fields.gid, fields.time] as const) {
    writeNumber(block, field, 0)
  }
  writeNumber(block, fields.size, records.length)
  finishBlock(block, 'pax')
  return Buffer.concat([block, records, Buffer.alloc(paddingOf(records.length))])
}

function finishBlock(block: Buffer, kind: TarKind | 'pax'): void {
  block.write(kind === 'pax' ? 'x' : typeOfKind[kind], fields.type[0], 'latin1')
  put(block, fields.magic, magics.ustar)
  const [start] = fields.checksum
  const sum = checksumOf(block).toString(8).padStart(6, '0')
  block.write(`${sum}\0 `, start, 'latin1')
}

// A path goes into name, or is cut at a slash into prefix and name.
function splitPath(path: Buffer): { prefix: Buffer; name: Buffer } | undefined {
  const mostName = fields.name[1]
  const mostPrefix = fields.prefix[1]
  if (path.length <= mostName) return { prefix: noBytes, name: path }
  if (path.length > mostName + 1 + mostPrefix) return undefined
  const slash = path.indexOf(0x2f, path.length - mostName - 1)
  if (slash < 1 || slash > mostPrefix || slash === path.length - 1) return undefined
  return { prefix: path.subarray(0, slash), name: path.subarray(slash + 1) }
}

// What is too long for a field stands whole in the PAX header.
function put(block: Buffer, [offset, length]: Field, bytes: Buffer): void {
  bytes.copy(block, offset, 0, Math.min(length, bytes.length))
}

function writeNumber(block: Buffer, [offset, length]: Field, value: number): boolean {
  const field = block.subarray(offset, offset + length)
  if (writeOctal(field, value)) return true
  writeOctal(field, 0)
  return false
}

function writeTime(block: Buffer, time: ModificationTime, records: Records): void {
  const { seconds, nanoseconds } = time
  const whole = nanoseconds === 0
  const fits = seconds >= 0n && writeNumber(block, fields.time, Number(seconds))
  if (!fits) writeNumber(block, fields.time, 0)
  if (!whole || !fits) records.addNumber('mtime', formatTime(time))
}

function formatTime({ seconds, nanoseconds }: ModificationTime): string {
  if (nanoseconds === 0) return String(seconds)
  // Nanoseconds count upwards below 1970, too.
  const isNegative = seconds < 0n
  const whole = isNegative ? -seconds - 1n : seconds
  const rest = isNegative ? 1_000_000_000 - nanoseconds : nanoseconds
  const fraction = String(rest).padStart(9, '0').replace(/0+$/, '')
  return `${isNegative ? '-' : ''}${whole}.${fraction}`
}

function writeDevice(block: Buffer, { kind, rdev }: TarEntry): void {
  const isDevice = kind === 'char-device' || kind === 'block-device'
  const { major, minor } = splitDevice(isDevice ? rdev : 0)
  writeNumber(block, fields.major, major)
  writeNumber(block, fields.minor, minor)
}
