import {
  type ModificationTime,
  ModificationTimesDecoder,
} from '../../object/modification-times.js'

/** Where a walk in stored order stands: the ordinal of an entry, and its time. */
export type WalkStep = {
  readonly ordinal: number
  readonly time: ModificationTime | undefined
}

/** Counts the entries of a walk in stored order, and deals out their times. */
export class WalkCursor {
  readonly #decoder: ModificationTimesDecoder | undefined
  readonly #touch: ModificationTime | undefined
  #ordinal: number

  /**
   * @param start - ordinal of the first entry
   * @param times - of the whole application, from ordinal 0 on
   * @param touch - one time for every entry instead
   */
  constructor(
    start: number,
    times: Buffer | undefined,
    touch: ModificationTime | undefined,
  ) {
    this.#ordinal = start
    this.#touch = touch
    if (times === undefined || touch !== undefined) return
    this.#decoder = new ModificationTimesDecoder(times)
    for (let before = 0; before < start; before++) this.#decoder.next()
  }

  /** The ordinal of the entry that comes next. */
  get ordinal(): number {
    return this.#ordinal
  }

  /** Passes entries over. */
  skip(count: number): void {
    for (let passed = 0; passed < count; passed++) this.next()
  }

  next(): WalkStep {
    return {
      ordinal: this.#ordinal++,
      time: this.#touch ?? this.#decoder?.next(),
    }
  }
}
