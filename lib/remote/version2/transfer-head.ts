import { InvalidObjectError } from '../../errors.js'
import { type CborValue, decodeCbor, encodeCbor } from '../../object/canonical-cbor.js'
import {
  frameHead,
  type HeadFrame,
  takeFramedHead,
} from '../../store/pack/framed-head.js'
import type { StreamBytes } from '../../store/pack/stream-bytes.js'

const frame: HeadFrame = {
  magic: Buffer.from('cairntx2'),
  maxBytes: 1024 * 1024,
  name: 'transfer',
}

/** The members of a head: unsigned keys, ascending. */
export type HeadMembers = ReadonlyMap<number, CborValue>

/**
 * Encodes what stands in front of the pack of a transfer: 8 bytes magic, u32 length, a
 * map in deterministic CBOR, u32 CRC-32 of everything before.
 */
export function encodeHead(members: HeadMembers): Buffer {
  return frameHead(frame, encodeCbor(members))
}

/** Takes a head off a stream; throws InvalidObjectError, ConnectionLostError. */
export async function takeHead(bytes: StreamBytes, where: string): Promise<HeadMembers> {
  const head = await takeFramedHead(bytes, frame, problem =>
    invalidTransfer(where, problem),
  )
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
