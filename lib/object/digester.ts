import { createHash, hash as hashOnce } from 'node:crypto'
import type { Algorithm } from './algorithm.js'
import { type Hash, loadBlake3 } from './blake3.js'
import type { Digest } from './digest.js'
import { type ObjectType, objectTypeByte } from './object-type.js'

/** Digests a stream of bytes. */
export type Digester = {
  update(bytes: Uint8Array): void
  /** The digest of all bytes so far; the digester is spent afterwards. */
  digest(): Digest
}

// Above this, copying behind the type byte costs more than a second call into the hash.
const copyLimit = 64 * 1024

const blake3 = loadBlake3()
const typeBytes = [0, 1, 2, 3].map(byte => Buffer.from([byte]))

/** Starts a digest over raw bytes, without an object's type byte. */
export function createDigester(algorithm: Algorithm): Digester {
  const hash = startHash(algorithm)
  return {
    update: bytes => hash.update(bytes),
    digest: () => digestFrom(algorithm, hash.digest().toString('hex')),
  }
}

/** Starts the digest of an object: the type byte is counted in, payload follows. */
export function createObjectDigester(algorithm: Algorithm, type: ObjectType): Digester {
  const digester = createDigester(algorithm)
  digester.update(typeBytesOf(type))
  return digester
}

/** Digests a whole object: its type byte and its payload (format section 2). */
export function digestObject(
  algorithm: Algorithm,
  type: ObjectType,
  payload: Uint8Array,
): Digest {
  const typeByte = typeBytesOf(type)
  if (algorithm.name === 'blake3') {
    return digestFrom(algorithm, blake3.hash([typeByte, payload]).toString('hex'))
  }
  if (payload.length <= copyLimit) {
    const bytes = Buffer.concat([typeByte, payload])
    return digestFrom(algorithm, hashOnce(algorithm.name, bytes, 'hex'))
  }
  const hash = createHash(algorithm.name).update(typeByte).update(payload)
  return digestFrom(algorithm, hash.digest('hex'))
}

function startHash(algorithm: Algorithm): Hash {
  if (algorithm.name === 'blake3') return blake3.start()
  const hash = createHash(algorithm.name)
  return { update: bytes => void hash.update(bytes), digest: () => hash.digest() }
}

function typeBytesOf(type: ObjectType): Buffer {
  return typeBytes[objectTypeByte(type)] ?? Buffer.alloc(0)
}

function digestFrom(algorithm: Algorithm, hashHex: string): Digest {
  return (algorithm.id.toString(16).padStart(2, '0') + hashHex) as Digest
}
