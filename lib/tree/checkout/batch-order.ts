import type { FileBatch } from './file-batch.js'

/** A batch in front of a thread, and who takes it: whoever sets its flag first makes it. */
export type BatchOrder = {
  readonly batch: FileBatch
  readonly taken: Int32Array<SharedArrayBuffer>
}

/** Whether who asks is to make a batch: the first one is. */
export function takeBatch({ taken }: BatchOrder): boolean {
  return Atomics.exchange(taken, 0, 1) === 0
}
