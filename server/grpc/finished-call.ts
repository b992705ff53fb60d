import { status } from '@grpc/grpc-js'
import { escapeBytes } from '../../lib/object/escape.js'
import type { LogEntry } from '../log-entry.js'

/** One call that was answered: for logs and metrics. */
export type FinishedCall = {
  readonly method: string
  /** What it was about, if one snapshot. */
  readonly key: Buffer | undefined
  /** As gRPC numbers them; 0 is success. */
  readonly status: number
  readonly durationMs: number
  /** What it said when it failed. */
  readonly error: string | undefined
}

/** Is told of every call when it was answered. */
export type CallObserver = (call: FinishedCall) => void

const changes = new Set(['Prepare', 'View', 'Commit', 'Remove', 'Update', 'Cleanup'])
const maxShown = 500

/** Failures that say that something is wrong here, not with the question. */
const serious = new Set<number>([
  status.UNKNOWN,
  status.INTERNAL,
  status.DATA_LOSS,
  status.RESOURCE_EXHAUSTED,
])

/** The log entry of a call; undefined for one that only looked, as clients do all the time. */
export function logEntryOf(call: FinishedCall): LogEntry | undefined {
  const { method, key, durationMs, error } = call
  const failed = error !== undefined
  if (!changes.has(method) && !serious.has(call.status)) return undefined
  return {
    time: new Date().toISOString(),
    level: serious.has(call.status) ? 'error' : 'info',
    message: 'call',
    service: 'snapshots',
    method,
    ...(key !== undefined && { key: escapeBytes(key.subarray(0, maxShown)) }),
    status: call.status,
    durationMs: Math.round(durationMs * 10) / 10,
    ...(failed && {
      code: status[call.status] ?? 'UNKNOWN',
      error: escapeBytes(Buffer.from(error.slice(0, maxShown))),
    }),
  }
}
