import { errors } from 'undici'
import { CairnError, ConnectionLostError, TimedOutError } from '../errors.js'

/** Makes our error of one that the HTTP client threw; others are given back unchanged. */
export function remoteError(error: unknown, url: URL): unknown {
  if (error instanceof CairnError || !(error instanceof Error)) return error
  const facts = { url: url.href }
  if (
    error instanceof errors.ConnectTimeoutError ||
    error instanceof errors.HeadersTimeoutError ||
    error instanceof errors.BodyTimeoutError
  ) {
    return new TimedOutError(
      `no answer from ${url.href} in time: ${error.message}`,
      facts,
      {
        cause: error,
      },
    )
  }
  if (error instanceof errors.UndiciError || 'syscall' in error || 'code' in error) {
    return new ConnectionLostError(
      `cannot talk to ${url.href}: ${messageOf(error)}`,
      facts,
      { cause: error },
    )
  }
  return error
}

// Several addresses that all refuse come as one error without a text.
function messageOf(error: Error): string {
  if (error.message !== '') return error.message
  return error instanceof AggregateError
    ? error.errors.map(each => (each instanceof Error ? each.message : '')).join(', ')
    : error.name
}
