import { createHash, hash as hashOnce } from 'node:crypto'
import { type Algorithm, algorithms } from './algorithm.js'
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
const hexBytes = algorithms.map(({ id }) => id.toString(16).padStart(2, '0'))

/** Starts a digest over raw bytes, without an object's type byte. */
export function createDigester(algorithm: Algorithm): Digester {
  const hash = startHash(algorithm)
  return {
    update: bytes => hash.update(bytes),
    digest: () => digestFrom(algorithm, hash.digest()),
  }
}

/** Starts the digest of an object: the type byte is counted in, payload follows. */
export function createObjectDigester(algorithm: Algorithm, type: ObjectType): Digester {
  const digester = createDigester(algorithm)
  digester.update(Uint8Array.of(objectTypeByte(type)))
  return digester
}

/** Digests a whole object: its type byte and its payload (format section 2). */
export function digestObject(
  algorithm: Algorithm,
  type: ObjectType,
  payload: Uint8Array,
): Digest {
  const typeByte = objectTypeByte(type)
  if (algorithm.name === 'blake3') {
    return digestFrom(algorithm, blake3.hash(typeByte, payload))
  }
  const first = Uint8Array.of(typeByte)
  if (payload.length <= copyLimit) {
    const bytes = Buffer.concat([first, payload])
    return digestFrom(algorithm, hashOnce(algorithm.name, bytes, 'hex'))
  }
  const hash = createHash(algorithm.name).update(first).update(payload)
  return digestFrom(algorithm, hash.digest('hex'))
}

/** As digestObject, of bytes that start with the type byte. */
export function digestPrefixed(algorithm: Algorithm, bytes: Uint8Array): Digest {
  const hashHex =
    algorithm.name === 'blake3' ? blake3.whole(bytes) : hashOnce(algorithm.name, bytes)
  return digestFrom(algorithm, hashHex)
}

function startHash(algorithm: Algorithm): Hash {
  if (algorithm.name === 'blake3') return blake3.start()
  const hash = createHash(algorithm.name)
  return { update: bytes => void hash.update(bytes), digest: () => hash.digest('hex') }
}

function digestFrom(algorithm: Algorithm, hashHex: string): Digest {
  return (hexBytes[algorithm.id] + hashHex) as Digest
}
