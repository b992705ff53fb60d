import type { Request } from 'express'
import {
  ConnectionLostError,
  LimitExceededError,
  ProtocolViolationError,
} from '../../lib/errors.js'
import type { MemoryLease } from '../../lib/remote/memory-budget.js'
import { PeerWatch } from '../../lib/remote/peer-watch.js'
import type { Version2Context } from './context.js'

/** What reading a body needs of the server. */
export type BodyContext = Pick<Version2Context, 'patience' | 'memory'>

// The body itself, its pieces while they are joined, and what is made of it.
const memoryFactor = 4

/**
 * Reads a whole body onto the account of `lease`; throws LimitExceededError beyond `limit`
 * bytes, before they are read where their number was announced.
 */
export async function readBody(
  context: BodyContext,
  request: Request,
  { limit, lease }: { readonly limit: number; readonly lease: MemoryLease },
): Promise<Buffer> {
  const announced = Number(request.headers['content-length'] ?? limit)
  if (announced > limit) throw tooLarge(limit, announced)
  await lease.hold(announced * memoryFactor)
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of bodyOf(context, request)) {
    length += chunk.length
    if (length > limit) throw tooLarge(limit, length)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/**
 * The body as it comes; throws ConnectionLostError when it is cut off, TimedOutError when
 * the client keeps us waiting. The connection stays when it is not read to its end.
 */
export async function* bodyOf(
  { patience }: Pick<BodyContext, 'patience'>,
  request: Request,
): AsyncGenerator<Buffer> {
  let timeout: Error | undefined
  const watch = new PeerWatch(patience, error => {
    timeout = error
    request.destroy()
  })
  const chunks = request.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>
  try {
    for (;;) {
      watch.begin()
      const next = await nextOf(chunks)
      watch.end()
      if (next.done === true) break
      watch.moved(next.value.length)
      yield next.value
    }
    if (!request.complete) throw new ConnectionLostError('the request was cut off')
  } catch (error) {
    throw timeout ?? error
  } finally {
    watch.stop()
    await chunks.return?.()
  }
}

async function nextOf(chunks: AsyncIterator<Buffer>): Promise<IteratorResult<Buffer>> {
  try {
    return await chunks.next()
  } catch (error) {
    throw new ConnectionLostError('the request was cut off', {}, { cause: error })
  }
}

/** Reads a body that must be an object of JSON; throws ProtocolViolationError. */
export async function readJson(
  context: BodyContext,
  request: Request,
  limit: number,
): Promise<Readonly<Record<string, unknown>>> {
  expectType(request, 'application/json')
  using lease = context.memory.open()
  const text = (await readBody(context, request, { limit, lease })).toString()
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
