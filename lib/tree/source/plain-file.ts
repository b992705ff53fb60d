import { DirectCalls, FileState } from '../../system/direct-calls.js'

const typeMask = 0o170000
const regular = 0o100000

/** Gives a buffer of at least so many bytes, or undefined to leave the file alone. */
export type RoomFor = (length: number) => Buffer | undefined

/**
 * Reads the files that most files are: regular, with one name, without extended
 * attributes, and holding still.
 *
 * Anything else it leaves alone, whatever the reason: EntryReader looks at it with care,
 * and knows what to say of it.
 */
export class PlainFileReader {
  /** What the file read last is. */
  readonly state = new FileState()
  readonly #after = new FileState()
  readonly #calls: DirectCalls

  private constructor(calls: DirectCalls) {
    this.#calls = calls
  }

  /** Makes one; undefined where the platform has no calls for it. */
  static find(): PlainFileReader | undefined {
    const calls = DirectCalls.find()
    return calls && new PlainFileReader(calls)
  }

  /**
   * Reads a whole file of an open folder, as it was at one moment; undefined for one that
   * is left alone.
   *
   * The name should be one that was of a regular file when the folder was listed: opening
   * a device can have effects.
   */
  read(folder: number, name: Uint8Array, roomFor: RoomFor): Buffer | undefined {
    const fd = this.#calls.openAt(folder, name)
    if (fd === -1) return undefined
    try {
      return this.#readOpen(fd, roomFor)
    } finally {
      this.#calls.close(fd)
    }
  }

  /** Looks at an entry of an open folder; false for what read() would leave alone at once. */
  look(folder: number, name: Uint8Array): boolean {
    const { state } = this
    if (!this.#calls.seeAt(folder, name, state)) return false
    return (state.mode & typeMask) === regular && state.links === 1
  }

  /** The device that holds an open folder; undefined where it cannot be told. */
  deviceOf(folder: number): number | undefined {
    return this.#calls.see(folder, this.#after) ? this.#after.device : undefined
  }

  #readOpen(fd: number, roomFor: RoomFor): Buffer | undefined {
    const calls = this.#calls
    const { state } = this
    if (!calls.see(fd, state)) return undefined
    if ((state.mode & typeMask) !== regular || state.links !== 1) return undefined
    if (calls.mayHaveXattrs(fd)) return undefined
    const { size } = state
    // One byte more is asked for, so that a file that has become longer is seen.
    const room = roomFor(size + 1)
    if (room === undefined || calls.read(fd, room) !== size) return undefined
    if (!calls.see(fd, this.#after) || !state.equals(this.#after)) return undefined
    return room.subarray(0, size)
  }
}
