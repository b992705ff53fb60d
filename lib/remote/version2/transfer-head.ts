import { crc32 } from 'node:zlib'
import { InvalidObjectError } from '../../errors.js'
import { type CborValue, decodeCbor, encodeCbor } from '../../object/canonical-cbor.js'
import type { StreamBytes } from '../../store/pack/stream-bytes.js'

const magic = Buffer.from('cairntx2')
const prefixBytes = magic.length + 4
const maxHeadBytes = 1024 * 1024

/** The members of a head: unsigned keys, ascending. */
export type HeadMembers = ReadonlyMap<number, CborValue>

/**
 * Encodes what stands in front of the pack of a transfer: 8 bytes magic, u32 length, a
 * map in deterministic CBOR, u32 CRC-32 of everything before.
 */
export function encodeHead(members: HeadMembers): Buffer {
  const head = encodeCbor(members)
  const prefix = Buffer.alloc(prefixBytes)
  magic.copy(prefix)
  prefix.writeUInt32LE(head.length, magic.length)
  const crc = Buffer.alloc(4)
  crc.writeUInt32LE(crc32(head, crc32(prefix)))
  return Buffer.concat([prefix, head, crc])
}

/** Takes a head off a stream; throws InvalidObjectError, ConnectionLostError. */
export async function takeHead(bytes: StreamBytes, where: string): Promise<HeadMembers> {
  const prefix = await bytes.take(prefixBytes)
  const length = prefix.readUInt32LE(magic.length)
  if (!prefix.subarray(0, magic.length).equals(magic)) {
    throw invalidTransfer(where, 'it does not start as a transfer')
  }
  if (length > maxHeadBytes) {
    throw invalidTransfer(where, `a head of ${length} bytes is beyond ${maxHeadBytes}`)
  }
  const head = await bytes.take(length)
  const crc = (await bytes.take(4)).readUInt32LE(0)
  if (crc32(head, crc32(prefix)) !== crc) {
    throw invalidTransfer(where, 'its head does not have its checksum')
  }
  return decodeMembers(head, where)
}

/** Decodes a map with unsigned keys; throws InvalidObjectError. */
export function decodeMembers(bytes: Uint8Array, where: string): HeadMembers {
  const map = decodeCbor(bytes)
  if (!(map instanceof Map)) throw invalidTransfer(where, 'expected a map')
  const members = new Map<number, CborValue>()
  for (const [key, value] of map as ReadonlyMap<unknown, CborValue>) {
    if (typeof key !== 'number' || key < 0) {
      throw invalidTransfer(where, `expected keys from 0 on, found ${String(key)}`)
    }
    members.set(key, value)
  }
  return members
}

/** The error for bytes of a transfer that break its rules. */
export function invalidTransfer(where: string, problem: string): InvalidObjectError {
  return new InvalidObjectError(`invalid transfer ${where}: ${problem}`, { where })
}
