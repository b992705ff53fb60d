import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { removeTree } from '../../lib/tree/remove-tree.js'

/**
 * Makes an empty folder for trees that are deeper than PATH_MAX, which tap's own folders
 * cannot be rid of. It is removed when the test ends.
 */
export function deepFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'cairn-test-'))
  t.teardown(() => removeTree(folder))
  return folder
}
