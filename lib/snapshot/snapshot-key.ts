import { InvalidArgumentError } from '../errors.js'
import { escapeBytes } from '../object/escape.js'

/**
 * The key or name of a snapshot: any bytes, each as one character of U+0000 to U+00FF, so
 * that keys are compared, sorted and looked up by bytes. Empty: no snapshot.
 */
export type SnapshotKey = string & { readonly __brand: 'SnapshotKey' }

/** Bytes of the longest key. */
const maxKeyBytes = 32_768

/** No snapshot: what the parent of a snapshot without one is. */
export const noSnapshot = '' as SnapshotKey

/** Makes a key of bytes, or of text as UTF-8; throws InvalidArgumentError beyond 32 KiB. */
export function parseSnapshotKey(key: Uint8Array | string): SnapshotKey {
  const bytes = typeof key === 'string' ? Buffer.from(key) : viewOf(key)
  if (bytes.length > maxKeyBytes) {
    throw new InvalidArgumentError(
      `the key is too long: expected at most ${maxKeyBytes} bytes, found ${bytes.length}`,
      { found: bytes.length, expected: maxKeyBytes },
    )
  }
  return bytes.toString('latin1') as SnapshotKey
}

/** The bytes of a key. */
export function snapshotKeyBytes(key: SnapshotKey): Buffer {
  return Buffer.from(key, 'latin1')
}

/** A key as people read it: escaped where it is no printable text. */
export function showSnapshotKey(key: SnapshotKey): string {
  return escapeBytes(snapshotKeyBytes(key))
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
