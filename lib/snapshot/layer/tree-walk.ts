import { type BigIntStats, lstatSync, readdirSync } from 'node:fs'
import { DirectoryDescent } from '../../system/directory-descent.js'
import { isErrno } from '../../system/errno.js'

const dot = Buffer.from('.')

/** What is done at the entries of a tree; paths are good for the call. */
export type TreeVisitor = {
  /** Called for everything but folders. */
  readonly visit: (path: Buffer, stats: BigIntStats, name: Buffer) => void
  /** Called for a folder before what is in it. */
  readonly enter: (stats: BigIntStats, name: Buffer) => void
  /** Called for a folder after what is in it, with a path to itself; for the root too. */
  readonly leave: (path: Buffer, stats: BigIntStats, name: Buffer) => void
}

/** How a tree is walked. */
export type WalkTreeOptions = {
  /** Called now and then; throws to end the walk. */
  readonly checkpoint: () => void
  /** What to do about entries that vanish meanwhile. */
  readonly vanished: 'fail' | 'pass over'
}

type Level = {
  readonly names: Buffer[]
  readonly name: Buffer
  readonly stats: BigIntStats
}

/** Walks everything below a folder, however deep, without following a link. */
export function walkTree(
  root: string,
  visitor: TreeVisitor,
  { checkpoint, vanished }: WalkTreeOptions,
): void {
  using descent = new DirectoryDescent(root)
  const levels: Level[] = []
  const open = (name: Buffer, stats: BigIntStats): void => {
    checkpoint()
    levels.push({ names: readNames(descent), name, stats })
    visitor.enter(stats, name)
  }
  const step = (name: Buffer): void => {
    const path = descent.path(name)
    const stats = lstatSync(path, { bigint: true })
    if (!stats.isDirectory()) {
      visitor.visit(path, stats, name)
      return
    }
    descent.enter(name)
    open(name, stats)
  }
  open(dot, lstatSync(descent.path(dot), { bigint: true }))
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    const name = level.names.pop()
    if (name === undefined) {
      levels.pop()
      visitor.leave(descent.path(dot), level.stats, level.name)
      if (levels.length > 0) descent.leave()
      continue
    }
    try {
      step(name)
    } catch (error) {
      if (vanished === 'fail' || !isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP'))
        throw error
    }
  }
}

function readNames(descent: DirectoryDescent): Buffer[] {
  const names: Buffer[] = readdirSync(descent.path(dot), { encoding: 'buffer' })
  return names.toReversed()
}
