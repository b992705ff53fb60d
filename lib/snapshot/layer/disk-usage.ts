import type { BigIntStats } from 'node:fs'
import type { Usage } from '../snapshot.js'
import { walkTree } from './tree-walk.js'

const blockBytes = 512n

/**
 * Counts what a tree takes on disk: blocks and inodes, its root's too, each inode once.
 *
 * What vanishes meanwhile is passed over.
 */
export function measureUsage(root: string, checkpoint: () => void): Usage {
  const linked = new Set<string>()
  let blocks = 0n
  let inodes = 0
  const count = (stats: BigIntStats): void => {
    blocks += stats.blocks
    inodes += 1
  }
  walkTree(
    root,
    {
      visit: (_, stats) => {
        if (stats.nlink > 1n) {
          const inode = `${stats.dev}:${stats.ino}`
          if (linked.has(inode)) return
          linked.add(inode)
        }
        count(stats)
      },
      enter: count,
      leave: () => undefined,
    },
    { checkpoint, vanished: 'pass over' },
  )
  return { size: Number(blocks * blockBytes), inodes }
}
