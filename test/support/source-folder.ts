import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getuid } from 'node:process'
import { DirectoryDescent } from '../../lib/system/directory-descent.js'
import { hasNativeCalls } from '../../lib/system/libc.js'

/** Why a test that makes devices, foreign owners or trusted attributes cannot run here. */
export const needsRoot =
  getuid?.() === 0 && hasNativeCalls() ? false : 'needs root and native calls'

/** A new folder in memory, whose files may have attributes beyond what headers hold. */
export function makeMemoryFolder(): string {
  return mkdtempSync('/dev/shm/cairn-test-')
}

/** A new folder outside of every test's own, for trees that only rm(1) can remove. */
export function makeDeepFolder(): string {
  return mkdtempSync(join(tmpdir(), 'cairn-test-'))
}

/** Removes a folder whatever is in it. */
export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}

/** Removes a folder that holds paths longer than PATH_MAX. */
export function removeDeepFolder(folder: string): void {
  const { status } = spawnSync('rm', ['-rf', '--', folder])
  if (status !== 0) throw new Error(`rm -rf ${folder} failed`)
}

/** Makes folders one in another, and a file `bottom` in the last. */
export function makeDeepTree(
  folder: string,
  { levels, name }: { levels: number; name: string },
): void {
  const bytes = Buffer.from(name)
  using descent = new DirectoryDescent(folder)
  for (let level = 0; level < levels; level++) {
    mkdirSync(descent.path(bytes), 0o755)
    descent.enter(bytes)
  }
  writeFileSync(descent.path(Buffer.from('bottom')), 'reached')
}
