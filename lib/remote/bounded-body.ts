import { LimitExceededError } from '../errors.js'

/** Reads a whole body of at most `limit` bytes; throws LimitExceededError. */
export async function readBoundedBody(
  body: AsyncIterable<Uint8Array>,
  limit: number,
  what: string,
): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > limit) {
      throw new LimitExceededError(
        `${what} is too long: expected at most ${limit} bytes, found ${length} or more`,
        { limit, found: length },
      )
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Reads the first bytes of a body, `limit` at most, and lets go of the rest. */
export async function readBodyStart(
  body: AsyncIterable<Uint8Array>,
  limit: number,
): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    length += chunk.length
    if (length >= limit) break
  }
  return Buffer.concat(chunks).subarray(0, limit)
}
