import type { CarriedError } from './carried-error.js'

/** What a thread is started with. */
export type ThreadStart = {
  readonly data: unknown
  /** Raised when the thread is to end: what it has not begun is not begun any more. */
  readonly ending: SharedFlag
}

/** What a thread is told. */
export type ThreadOrder =
  | {
      readonly kind: 'job'
      readonly job: unknown
      /** Raised when nobody wants this job's answer any more. */
      readonly cancelled: SharedFlag | undefined
    }
  | { readonly kind: 'end' }

/** What a thread tells of each job, in the order in which it got them. */
export type ThreadReply =
  | { readonly kind: 'answer'; readonly answer: unknown }
  | { readonly kind: 'failure'; readonly error: CarriedError }

/** One number that threads share: seen at once, also by one that is busy. */
export type SharedFlag = SharedArrayBuffer

export function makeFlag(): SharedFlag {
  return new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)
}

export function raiseFlag(flag: SharedFlag): void {
  Atomics.store(new Int32Array(flag), 0, 1)
}

export function isRaised(flag: SharedFlag): boolean {
  return Atomics.load(new Int32Array(flag), 0) !== 0
}
