import { LayerThread } from './layer-thread.js'

/** Threads for work on layers: what somebody waits for does not wait for what nobody does. */
export class LayerThreads implements AsyncDisposable {
  readonly copies = new LayerThread()
  readonly counts = new LayerThread()
  readonly removals = new LayerThread()

  async [Symbol.asyncDispose](): Promise<void> {
    const threads = [this.copies, this.counts, this.removals]
    await Promise.all(threads.map(thread => thread[Symbol.asyncDispose]()))
  }
}
