import { closeSync, constants, fsyncSync, lstatSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { StorageFullError } from '../../errors.js'
import { allocate } from '../../system/allocate.js'
import { isErrno } from '../../system/errno.js'
import { openRepositoryFile } from '../repository-file.js'
import type { SizedPack } from './pack-sizes.js'

const mebibyte = 1024 * 1024
const largest = 16 * mebibyte
const smallest = 64 * 1024
// Of the packs: the reserve must not show in the size of a repository.
const share = 1024

/**
 * Room on disk that is given up when there is no other, so that a collection can write
 * what it must before it frees more: `ROOT/reserve`.
 */
export class Reserve {
  readonly #path: string

  constructor(root: string) {
    this.#path = join(root, 'reserve')
  }

  /** Runs an action; if the disk is full, once more with the reserve given up. */
  async orFree<Result>(action: () => Promise<Result>): Promise<Result> {
    try {
      return await action()
    } catch (error) {
      const isFull =
        error instanceof StorageFullError || isErrno(error, 'ENOSPC', 'EDQUOT')
      if (!isFull || lstatSync(this.#path, { throwIfNoEntry: false }) === undefined) {
        throw error
      }
      rmSync(this.#path, { force: true })
    }
    return action()
  }

  /** Makes the reserve, or a larger one, as fits these packs, if there is room. */
  ensure(packs: Iterable<SizedPack>): void {
    const there = lstatSync(this.#path, { throwIfNoEntry: false })
    const size = there?.size ?? 0
    if (size >= largest / 2) return
    const wanted = fitting(packs)
    if (size >= wanted / 2) return
    const { O_CREAT, O_WRONLY } = constants
    let isMade = false
    const fd = openRepositoryFile(this.#path, O_WRONLY | O_CREAT)
    try {
      isMade = allocate(fd, wanted)
      if (isMade) fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    if (!isMade) rmSync(this.#path, { force: true })
  }
}

function fitting(packs: Iterable<SizedPack>): number {
  let bytes = 0
  for (const pack of packs) {
    bytes += pack.bytes
    if (bytes >= largest * share) return largest
  }
  return Math.max(smallest, Math.floor(bytes / share))
}
