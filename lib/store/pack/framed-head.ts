import { crc32 } from 'node:zlib'
import type { StreamBytes } from './stream-bytes.js'

const magicBytes = 8
const prefixBytes = magicBytes + 4

/** What is in front of a stream of one kind. */
export type HeadFrame = {
  /** 8 bytes. */
  readonly magic: Buffer
  readonly maxBytes: number
  /** The kind, for people. */
  readonly name: string
}

/** Frames a head: 8 bytes magic, u32 length, the head, u32 CRC-32 of everything before. */
export function frameHead({ magic }: HeadFrame, head: Uint8Array): Buffer {
  const prefix = Buffer.alloc(prefixBytes)
  magic.copy(prefix)
  prefix.writeUInt32LE(head.length, magicBytes)
  const crc = Buffer.alloc(4)
  crc.writeUInt32LE(crc32(head, crc32(prefix)))
  return Buffer.concat([prefix, head, crc])
}

/**
 * Takes a framed head off a stream; throws ConnectionLostError, and what `invalid` makes of
 * a frame that breaks the rules.
 */
export async function takeFramedHead(
  bytes: StreamBytes,
  { magic, maxBytes, name }: HeadFrame,
  invalid: (problem: string) => Error,
): Promise<Buffer> {
  const prefix = await bytes.take(prefixBytes)
  const length = prefix.readUInt32LE(magicBytes)
  if (!prefix.subarray(0, magicBytes).equals(magic)) {
    throw invalid(`it does not start as a ${name}`)
  }
  if (length > maxBytes) throw invalid(`a head of ${length} bytes is beyond ${maxBytes}`)
  const head = await bytes.take(length)
  const crc = (await bytes.take(4)).readUInt32LE(0)
  if (crc32(head, crc32(prefix)) !== crc) {
    throw invalid('its head does not have its checksum')
  }
  return head
}
