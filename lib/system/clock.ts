import { findFunction } from './libc.js'

const realTime = 0
const nanosecondsPerMillisecond = 1_000_000n
const nanosecondsPerSecond = 1_000_000_000n

let readClock: ((clock: number, to: Buffer) => number) | undefined | 'absent'
const answer = Buffer.alloc(16)

/**
 * The wall clock in nanoseconds since 1970-01-01 UTC, as other programs read it; in whole
 * milliseconds where the native part is missing.
 */
export function wallClock(): bigint {
  readClock ??= findFunction('int clock_gettime(int clock, void *to)') ?? 'absent'
  if (readClock === 'absent' || readClock(realTime, answer) !== 0) {
    return BigInt(Date.now()) * nanosecondsPerMillisecond
  }
  return answer.readBigInt64LE(0) * nanosecondsPerSecond + answer.readBigInt64LE(8)
}
