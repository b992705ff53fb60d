import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** A folder for sockets, whose paths must be short; it goes with the test. */
export function socketFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'cairn-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
