import { errnoOf } from '../lib/system/errno.js'
import type { StatCache } from '../lib/tree/source/stat-cache/stat-cache.js'
import type { CommandContext } from './context.js'

/**
 * Keeps what would make the next store quicker; the tree is stored, whatever becomes of it.
 */
export function saveStatCache(cache: StatCache, { output }: CommandContext): void {
  try {
    cache.save()
  } catch (error) {
    const code = errnoOf(error)
    if (code === undefined) throw error
    output.warn(`the stat cache could not be written (${code}): the next store reads all`)
  }
}
