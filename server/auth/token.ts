import { createHash, randomBytes } from 'node:crypto'

const prefix = 'cairn_'

/** A new token: 256 random bits, so that no one can guess it or find it from its hash. */
export function createToken(): string {
  return prefix + randomBytes(32).toString('base64url')
}

/** Whether a text has the form of a token. */
export function isToken(text: string): boolean {
  return /^cairn_[0-9A-Za-z_-]{43}$/.test(text)
}

/**
 * What is kept of a token, in hex. One round of SHA-256 is right here: slow hashes make up
 * for secrets that people choose, and nothing makes 2^256 guesses.
 */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
