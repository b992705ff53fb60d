import { CairnError, ProtocolViolationError } from '../errors.js'
import { algorithms } from '../object/algorithm.js'
import { ByteWriter } from '../object/byte-writer.js'
import {
  type Descriptor,
  decodeDescriptor,
  encodeDescriptor,
  maxDescriptorBytes,
} from '../object/descriptor.js'
import type { PeerConnection } from './peer-connection.js'

/** One item of the stream from receiver to sender (format section 5). */
export type WireItem =
  | { readonly kind: 'done' }
  | { readonly kind: 'want' | 'skip'; readonly descriptor: Descriptor }

const doneByte = 0
const wantByte = 1
const skipByte = 2

// What follows the digest in a descriptor: size, type, totals.
const restBytes = 8 + 1 + 4 + 8
const digestLengths = new Set(algorithms.map(({ hashBytes }) => 1 + hashBytes))

/** The most bytes of an item. */
const maxWireItemBytes = 1 + maxDescriptorBytes

/** Encodes an item. */
export function encodeWireItem(item: WireItem): Buffer {
  const writer = new ByteWriter(maxWireItemBytes)
  if (item.kind === 'done') return writer.u8(doneByte).finish()
  return writer
    .u8(item.kind === 'want' ? wantByte : skipByte)
    .bytes(encodeDescriptor(item.descriptor))
    .finish()
}

/**
 * Reads an item; undefined when the stream ends before it begins.
 *
 * Throws ProtocolViolationError, or ConnectionLostError when it ends inside the item.
 */
export async function readWireItem(peer: PeerConnection): Promise<WireItem | undefined> {
  if (await peer.atEnd()) return undefined
  const [byte = doneByte] = await peer.read(1, 'an item')
  switch (byte) {
    case doneByte:
      return { kind: 'done' }
    case wantByte:
      return { kind: 'want', descriptor: await readPeerDescriptor(peer) }
    case skipByte:
      return { kind: 'skip', descriptor: await readPeerDescriptor(peer) }
    default:
      throw new ProtocolViolationError(
        `unknown item: expected 0, 1 or 2, found ${byte}`,
        { found: byte },
      )
  }
}

/** Reads a descriptor; throws ProtocolViolationError, ConnectionLostError. */
export async function readPeerDescriptor(peer: PeerConnection): Promise<Descriptor> {
  const prefix = await peer.read(2, 'a descriptor')
  const length = prefix.readUInt16LE()
  if (!digestLengths.has(length)) {
    throw new ProtocolViolationError(
      `a digest of impossible length: expected 29, 33, 49 or 65 bytes, found ${length}`,
      { found: length },
    )
  }
  const rest = await peer.read(length + restBytes, 'a descriptor')
  try {
    return decodeDescriptor(Buffer.concat([prefix, rest]))
  } catch (error) {
    if (!(error instanceof CairnError)) throw error
    throw new ProtocolViolationError(
      `invalid descriptor from the peer: ${error.message}`,
      error.facts,
      { cause: error },
    )
  }
}
