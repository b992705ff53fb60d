import { STATUS_CODES } from 'node:http'
import type { Response } from 'express'
import { errorCodes } from '../lib/error-codes.js'
import {
  BusyError,
  CairnError,
  QuotaExceededError,
  RateLimitedError,
} from '../lib/errors.js'

/** A problem that is told to a client (RFC 9457). */
export type Problem = {
  readonly status: number
  readonly detail?: string
  /** A code of the error table. */
  readonly code?: string
}

const challenges = ['Bearer realm="cairn"', 'Basic realm="cairn", charset="UTF-8"']

/** Answers with a problem. */
export function sendProblem(response: Response, problem: Problem): void {
  const { status, detail, code } = problem
  response.set('Cache-Control', 'no-store')
  if (status === 401) response.set('WWW-Authenticate', challenges)
  const body = {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    ...(detail === undefined ? {} : { detail }),
    ...(code === undefined ? {} : { code }),
  }
  response
    .status(status)
    .type('application/problem+json')
    .set('Cache-Control', 'no-store')
    .send(`${JSON.stringify(body)}\n`)
}

/** Seconds after which a client may try again; undefined where that is not known. */
export function findRetryAfter(error: unknown): number | undefined {
  if (error instanceof BusyError) return 1
  const seconds =
    error instanceof RateLimitedError ? error.facts['retryAfterSeconds'] : undefined
  return typeof seconds === 'number' ? seconds : undefined
}

/** What a client may know of an error. */
export function problemOf(error: unknown): Problem {
  if (!(error instanceof CairnError)) return { status: statusOf(error) }
  const { code } = error
  const { httpStatus: status } = errorCodes[code]
  // Neither our own failures nor the paths of this machine are for strangers.
  const isOurs = status >= 500 && !isForClients(error)
  const isPrivate = isOurs || 'path' in error.facts
  return isPrivate ? { status, code } : { status, code, detail: error.message }
}

// What the server cannot do now, but a client can wait for or see to.
function isForClients(error: CairnError): boolean {
  return error instanceof BusyError || error instanceof QuotaExceededError
}

// Express marks what a request did wrong, such as a broken escape in its path.
function statusOf(error: unknown): number {
  const isRequests =
    error instanceof Error &&
    'status' in error &&
    typeof error.status === 'number' &&
    error.status >= 400 &&
    error.status < 500
  return isRequests ? Number(error.status) : 500
}
