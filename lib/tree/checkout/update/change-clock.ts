import { fchmodSync, fstatSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WorkFolder } from '../work-folder.js'
import type { ClockSpan } from './checkout-record.js'

// The clock of change times moves in steps of some milliseconds.
const stepMs = 2

/** Tells in which span of its filesystem's own clock a checkout works. */
export class ChangeClock {
  readonly #work: WorkFolder
  readonly #start: bigint

  /** Starts the span. */
  constructor(work: WorkFolder) {
    this.#work = work
    this.#start = this.#read()
  }

  /** Ends the span, behind all that was done so far: waits until the clock has moved. */
  async end(): Promise<ClockSpan> {
    const last = this.#read()
    for (;;) {
      const end = this.#read()
      if (end > last) return { start: this.#start, end }
      await sleep(stepMs)
    }
  }

  #read(): bigint {
    // Says what the folder is anyway, which moves its change time.
    fchmodSync(this.#work.fd, 0o700)
    return fstatSync(this.#work.fd, { bigint: true }).ctimeNs
  }
}
