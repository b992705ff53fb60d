import type { Algorithm } from '../../../object/algorithm.js'
import type { Digest } from '../../../object/digest.js'
import { digestPrefixed } from '../../../object/digester.js'
import { objectTypeByte } from '../../../object/object-type.js'
import { DirectCalls, FileState } from '../../../system/direct-calls.js'
import type { FileBatch } from './file-batch.js'

/**
 * Reads the files that most files are: without extended attributes, and holding still.
 *
 * Anything else it leaves alone, whatever the reason: EntryReader looks at it with care,
 * and knows what to say of it.
 */
export class BatchReader {
  readonly #calls: DirectCalls
  readonly #algorithm: Algorithm
  readonly #seen = new FileState()
  readonly #after = new FileState()

  private constructor(calls: DirectCalls, algorithm: Algorithm) {
    this.#calls = calls
    this.#algorithm = algorithm
  }

  /** Makes one; undefined where the platform has no calls for it. */
  static find(algorithm: Algorithm): BatchReader | undefined {
    const calls = DirectCalls.find()
    return calls && new BatchReader(calls, algorithm)
  }

  /**
   * Reads each file of a batch into its room, as it was when it was seen, and tells the
   * digest of its object; undefined for one that was left alone.
   */
  read(batch: FileBatch): (Digest | undefined)[] {
    const digests: (Digest | undefined)[] = []
    for (let index = 0; index < batch.count; index++) {
      digests.push(this.#readFile(batch, index))
    }
    return digests
  }

  #readFile(batch: FileBatch, index: number): Digest | undefined {
    const calls = this.#calls
    const seen = this.#seen
    batch.loadState(index, seen)
    const fd = calls.openAt(batch.folder(index), batch.name(index))
    if (fd === -1) return undefined
    try {
      if (calls.mayHaveXattrs(fd)) return undefined
      const { size } = seen
      const room = batch.room(index, size)
      if (calls.read(fd, room.subarray(1)) !== size) return undefined
      // The same state before and after: what was read is what the file was all the time.
      if (!calls.see(fd, this.#after) || !seen.equals(this.#after)) return undefined
      room[0] = objectTypeByte('file')
      return digestPrefixed(this.#algorithm, room.subarray(0, 1 + size))
    } finally {
      calls.close(fd)
    }
  }
}
