import { readFileSync } from 'node:fs'
import { type Digest, parseDigest } from '../object/digest.js'
import { type FileCalls, writeFully } from '../system/file-calls.js'

/**
 * Digests in the order in which they were committed.
 *
 * The last ones stay in memory, those before them go to files, one a spill, so that a
 * session of any size takes bounded memory.
 */
export class CommitLog {
  readonly #calls: FileCalls
  readonly #newPath: () => string
  readonly #files: string[] = []
  #recent: Digest[] = []
  #length = 0

  /** @param newPath - names a file that does not exist, in a folder that the caller removes */
  constructor(calls: FileCalls, newPath: () => string) {
    this.#calls = calls
    this.#newPath = newPath
  }

  get length(): number {
    return this.#length
  }

  add(digest: Digest): void {
    this.#recent.push(digest)
    this.#length++
  }

  /** Moves all from memory to a file; changes nothing when that fails. */
  spill(): void {
    const path = this.#newPath()
    const fd = this.#calls.create(path)
    try {
      writeFully(this.#calls, fd, Buffer.from(this.#recent.join('\n'), 'latin1'))
    } finally {
      this.#calls.close(fd)
    }
    this.#files.push(path)
    this.#recent = []
  }

  /** All digests in order, in batches of what was spilled at once. */
  *batches(): Generator<readonly Digest[]> {
    for (const path of this.#files) {
      yield readFileSync(path, 'latin1').split('\n').map(parseDigest)
    }
    yield this.#recent
  }
}
