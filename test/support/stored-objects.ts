import { findAlgorithmById } from '../../lib/object/algorithm.js'
import type { Digest } from '../../lib/object/digest.js'
import { digestObject } from '../../lib/object/digester.js'
import type { ObjectType } from '../../lib/object/object-type.js'
import { seededRandom } from './seeded-random.js'

/** A payload with its digest. */
export type Item = {
  readonly type: ObjectType
  readonly payload: Buffer
  readonly digest: Digest
}

/** Makes an object of bytes that need not be a valid one of its type. */
export function item(type: ObjectType, payload: Buffer, algorithmId = 10): Item {
  const algorithm = findAlgorithmById(algorithmId)
  if (algorithm === undefined) throw new Error(`no algorithm ${algorithmId}`)
  return { type, payload, digest: digestObject(algorithm, type, payload) }
}

/** Bytes that do not shrink, the same for a seed. */
export function noise(size: number, seed: number): Buffer {
  const random = seededRandom(seed)
  const bytes = Buffer.alloc(size)
  for (let at = 0; at < size; at++) bytes[at] = random() * 256
  return bytes
}

/** Bytes that shrink to about a third. */
export function prose(size: number, seed: number): Buffer {
  const random = seededRandom(seed)
  const words = Array.from({ length: 500 }, () => Math.floor(random() * 1e9).toString(36))
  const parts: string[] = []
  for (let length = 0; length < size; ) {
    const word = words[Math.floor(random() * words.length)] ?? ''
    parts.push(word)
    length += word.length + 1
  }
  return Buffer.from(parts.join(' ')).subarray(0, size)
}
