import type { Test } from 'tap'
import { escapeBytes } from '../../lib/object/escape.js'
import { type CompareOptions, compareFolders } from '../../lib/tree/compare-folders.js'

/** Asserts that two folders are the same in everything that is not ignored. */
export async function sameTrees(
  t: Test,
  expected: string,
  found: string,
  options: CompareOptions = {},
): Promise<void> {
  const { differences, entries } = await compareFolders(expected, found, options)
  const lines = differences.map(
    difference =>
      `${escapeBytes(difference.path)}: ${difference.part} ` +
      `${difference.expected ?? ''} ${difference.found ?? ''}`,
  )
  t.same(lines, [], `${entries} entries are the same`)
}
