import {
  type BigIntStats,
  closeSync,
  constants,
  linkSync,
  mkdirSync,
  openSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { createDataCopier } from '../../system/copy-data.js'
import { DirectoryDescent } from '../../system/directory-descent.js'
import { isErrno } from '../../system/errno.js'
import { makeDevice, makeFifo, makeSocket } from '../../system/special-file.js'
import { removeTree } from '../../tree/checkout/remove-tree.js'
import { copyMetadata } from './copy-metadata.js'
import { walkTree } from './tree-walk.js'

const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const writeFlags =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
const dot = Buffer.from('.')

/** What a copy is made of. */
export type CopyRequest = {
  readonly from: string
  /** An empty folder. */
  readonly to: string
  /** A folder that is made for the time of the copy, on the same filesystem. */
  readonly scratch: string
}

/**
 * Copies a tree exactly: contents with their holes, owners, modes, extended attributes,
 * times, hard links, devices. Extents are shared where the filesystem can.
 */
export function copyTree(
  { from, to, scratch }: CopyRequest,
  checkpoint: () => void,
): void {
  mkdirSync(scratch, { mode: 0o700 })
  try {
    using target = new DirectoryDescent(to)
    const copier = new EntryCopier(target, scratch)
    walkTree(
      from,
      {
        visit: (path, stats, name) => {
          checkpoint()
          copier.copy(path, stats, name)
        },
        enter: (_, name) => copier.enter(name),
        leave: (path, stats) => copier.leave(path, stats),
      },
      { checkpoint, vanished: 'fail' },
    )
  } finally {
    removeTree(scratch)
  }
}

class EntryCopier {
  readonly #target: DirectoryDescent
  readonly #scratch: string
  readonly #copyData = createDataCopier()
  /** For each inode with several names, another name outside the tree. */
  readonly #links = new Map<string, string>()

  constructor(target: DirectoryDescent, scratch: string) {
    this.#target = target
    this.#scratch = scratch
  }

  enter(name: Buffer): void {
    // The root of the copy is there already.
    if (name.equals(dot)) return
    mkdirSync(this.#target.path(name), { mode: 0o700 })
    this.#target.enter(name)
  }

  leave(from: Buffer, stats: BigIntStats): void {
    copyMetadata(from, this.#target.path(dot), stats)
    if (this.#target.depth > 0) this.#target.leave()
  }

  copy(from: Buffer, stats: BigIntStats, name: Buffer): void {
    const to = this.#target.path(name)
    const inode = stats.nlink > 1n ? `${stats.dev}:${stats.ino}` : undefined
    const known = inode === undefined ? undefined : this.#links.get(inode)
    if (known !== undefined && linked(known, to)) return
    this.#make(from, to, stats)
    copyMetadata(from, to, stats)
    if (inode === undefined) return
    const kept = join(this.#scratch, String(this.#links.size))
    linkSync(to, kept)
    this.#links.set(inode, kept)
  }

  #make(from: Buffer, to: Buffer, stats: BigIntStats): void {
    if (stats.isFile()) this.#copyFile(from, to, stats)
    else if (stats.isSymbolicLink()) symlinkSync(readlinkSync(from, 'buffer'), to)
    else if (stats.isFIFO()) makeFifo(to)
    else if (stats.isSocket()) makeSocket(to)
    else makeDevice(to, stats.isBlockDevice() ? 'block' : 'char', Number(stats.rdev))
  }

  #copyFile(from: Buffer, to: Buffer, stats: BigIntStats): void {
    const source = openSync(from, readFlags)
    try {
      const target = openSync(to, writeFlags, 0o600)
      try {
        this.#copyData(source, target, Number(stats.size))
      } finally {
        closeSync(target)
      }
    } finally {
      closeSync(source)
    }
  }
}

// A file that takes no more names becomes another one, as in the tree it came from.
function linked(from: string, to: Buffer): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (isErrno(error, 'EMLINK')) return false
    throw error
  }
}
