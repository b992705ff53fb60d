import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { removeTree } from '../../lib/tree/checkout/remove-tree.js'

/** A folder in memory where there is one: for trees of which a disk makes a long story. */
const memoryFolder = '/dev/shm'

/**
 * Makes an empty folder for trees that are deeper than PATH_MAX, which tap's own folders
 * cannot be rid of. It is removed when the test ends.
 */
export function deepFolder(t: Test, place: 'disk' | 'memory' = 'disk'): string {
  const inMemory = place === 'memory' && existsSync(memoryFolder)
  const folder = mkdtempSync(join(inMemory ? memoryFolder : tmpdir(), 'cairn-test-'))
  t.teardown(() => removeTree(folder))
  return folder
}
