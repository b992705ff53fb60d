import { type BigIntStats, lstatSync, mkdirSync } from 'node:fs'
import { DirectoryDescent } from '../../system/directory-descent.js'
import { isErrno } from '../../system/errno.js'

/** What stands in the way of going somewhere: how many names lead there, and what it is. */
export type Obstacle = {
  readonly depth: number
  readonly found: 'absent' | 'no directory'
}

/**
 * A place in a folder on disk that moves from path to path.
 *
 * It goes name by name from one open directory to the next and follows no link, whoever
 * put it there, and whenever.
 */
export class FolderCursor implements Disposable {
  readonly #descent: DirectoryDescent
  readonly #names: Buffer[] = []

  constructor(folder: string | Buffer) {
    this.#descent = new DirectoryDescent(folder)
  }

  /** The open directory that it stands in. */
  get fd(): number {
    return this.#descent.fd
  }

  /** A path for system calls on one name in the present directory. */
  path(name: Uint8Array): Buffer {
    return this.#descent.path(name)
  }

  /** A path for system calls on the present directory itself. */
  get here(): Buffer {
    return this.#descent.here
  }

  /** Looks at a name in the present directory; undefined when it is absent. */
  look(name: Uint8Array): BigIntStats | undefined {
    return lstatSync(this.path(name), { bigint: true, throwIfNoEntry: false })
  }

  /**
   * Goes to a directory; tells what is in the way, and then stands in front of it.
   *
   * @param onMissing - told of a directory that is missing, by how many names lead to it:
   *   then it is made, private; without, it is in the way
   */
  go(
    names: readonly Buffer[],
    onMissing?: (depth: number) => void,
  ): Obstacle | undefined {
    const common = commonNames(this.#names, names)
    while (this.#names.length > common) this.leave()
    for (let depth = common; depth < names.length; depth++) {
      const name = names[depth]
      if (name === undefined) throw new Error('a path ended before its end')
      const found = this.enter(name)
      if (found === 'absent' && onMissing !== undefined) {
        mkdirSync(this.path(name), { mode: 0o700 })
        onMissing(depth + 1)
        this.#descent.enter(name)
        this.#names.push(name)
      } else if (found !== undefined) return { depth: depth + 1, found }
    }
    return undefined
  }

  /** Goes into a directory; tells what is in the way. */
  enter(name: Buffer): Obstacle['found'] | undefined {
    try {
      this.#descent.enter(name)
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return 'absent'
      if (isErrno(error, 'ELOOP', 'ENOTDIR')) return 'no directory'
      throw error
    }
    this.#names.push(name)
    return undefined
  }

  /** Goes back to the directory around. */
  leave(): void {
    this.#descent.leave()
    this.#names.pop()
  }

  [Symbol.dispose](): void {
    this.#descent[Symbol.dispose]()
  }
}

function commonNames(one: readonly Buffer[], other: readonly Buffer[]): number {
  let depth = 0
  for (; depth < one.length && depth < other.length; depth++) {
    if (one[depth]?.equals(other[depth] ?? Buffer.alloc(0)) !== true) break
  }
  return depth
}
