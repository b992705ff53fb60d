import { InvalidDigestError } from '../errors.js'
import { type Algorithm, findAlgorithmById } from './algorithm.js'
import { escapeBytes } from './escape.js'

declare const digestBrand: unique symbol

/**
 * The name of an object: lower-case hex of the algorithm byte and the raw hash.
 *
 * Only the parsers of this file and a Digester make one, so a Digest always names a
 * known algorithm and has exactly its length. Equal digests are equal strings.
 */
export type Digest = string & { readonly [digestBrand]: true }

/** Parses the text form; throws InvalidDigestError. */
export function parseDigest(text: string): Digest {
  const digest = findDigest(text)
  if (digest === undefined) throw invalidDigest(text)
  return digest
}

/** Parses the text form; undefined for anything that is not a digest. */
export function findDigest(text: string): Digest | undefined {
  if (!/^[0-9a-f]{2,}$/.test(text)) return undefined
  const algorithm = findAlgorithmById(Number.parseInt(text.slice(0, 2), 16))
  if (algorithm === undefined || text.length !== 2 + 2 * algorithm.hashBytes) {
    return undefined
  }
  return text as Digest
}

/** Parses the binary form: the algorithm byte, then the raw hash; throws InvalidDigestError. */
export function parseDigestBytes(bytes: Uint8Array): Digest {
  const digest = findDigestBytes(bytes)
  if (digest === undefined) throw invalidDigest(toBuffer(bytes).toString('hex'))
  return digest
}

/** Parses the binary form; undefined for anything that is not a digest. */
export function findDigestBytes(bytes: Uint8Array): Digest | undefined {
  return findDigestAt(toBuffer(bytes), 0, bytes.length)
}

/** Parses the binary form in bytes `start` to `end`; undefined for what is not a digest. */
export function findDigestAt(
  bytes: Buffer,
  start: number,
  end: number,
): Digest | undefined {
  const algorithm = findAlgorithmById(bytes[start] ?? 255)
  if (algorithm === undefined || end - start !== 1 + algorithm.hashBytes) return undefined
  return bytes.toString('hex', start, end) as Digest
}

/** The binary form of a digest: the algorithm byte, then the raw hash. */
export function digestBytes(digest: Digest): Buffer {
  return Buffer.from(digest, 'hex')
}

/** The algorithm that made a digest. */
export function algorithmOf(digest: Digest): Algorithm {
  const algorithm = findAlgorithmById(Number.parseInt(digest.slice(0, 2), 16))
  if (algorithm === undefined) throw invalidDigest(digest)
  return algorithm
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function invalidDigest(text: string): InvalidDigestError {
  const cut = text.length > 140 ? `${text.slice(0, 140)}…` : text
  const found = escapeBytes(Buffer.from(cut))
  const algorithm = /^[0-9a-f]{2}/.test(text)
    ? findAlgorithmById(Number.parseInt(text.slice(0, 2), 16))
    : undefined
  const expected =
    algorithm === undefined
      ? 'lower-case hex that starts with the byte of a known algorithm (00 to 0a)'
      : `${2 + 2 * algorithm.hashBytes} lower-case hex digits for ${algorithm.name}`
  return new InvalidDigestError(
    `invalid digest "${found}": expected ${expected}, found ${text.length} characters`,
    { found, expected },
  )
}
