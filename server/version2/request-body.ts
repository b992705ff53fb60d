import type { Request } from 'express'
import {
  ConnectionLostError,
  LimitExceededError,
  ProtocolViolationError,
} from '../../lib/errors.js'

/**
 * Reads a whole body; throws LimitExceededError beyond `limit` bytes, before they are
 * read where their number was announced.
 */
export async function readBody(request: Request, limit: number): Promise<Buffer> {
  const announced = Number(request.headers['content-length'] ?? 0)
  if (announced > limit) throw tooLarge(limit, announced)
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of bodyOf(request)) {
    length += chunk.length
    if (length > limit) throw tooLarge(limit, length)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The body as it comes; throws ConnectionLostError when it is cut off. */
export async function* bodyOf(request: Request): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) yield chunk
  } catch (error) {
    throw new ConnectionLostError('the request was cut off', {}, { cause: error })
  }
  if (!request.complete) throw new ConnectionLostError('the request was cut off')
}

/** Reads a body that must be an object of JSON; throws ProtocolViolationError. */
export async function readJson(
  request: Request,
  limit: number,
): Promise<Readonly<Record<string, unknown>>> {
  expectType(request, 'application/json')
  const text = (await readBody(request, limit)).toString()
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw new ProtocolViolationError('the body is no object of JSON')
}

/** Refuses a body of another type; throws ProtocolViolationError. */
export function expectType(request: Request, type: string): void {
  const found = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim() ?? ''
  if (found.toLowerCase() === type) return
  throw new ProtocolViolationError(
    `unexpected content type: expected ${type}, found ${found === '' ? 'none' : found}`,
    { expected: type, found },
  )
}

function tooLarge(limit: number, found: number): LimitExceededError {
  return new LimitExceededError(
    `the body is too large: expected at most ${limit} bytes, found ${found}`,
    { limit, found },
  )
}
