import { execFileSync } from 'node:child_process'
import type { Test } from 'tap'

/** Why a filesystem cannot be mounted here; false when it can. */
export const cannotMount: string | false =
  process.getuid?.() === 0 ? false : 'only root may mount a small filesystem'

/** Runs with a filesystem of this size (as mount takes it), in a folder of its own. */
export async function withSmallFilesystem(
  t: Test,
  size: string,
  action: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = t.testdir()
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder])
  try {
    await action(folder)
  } finally {
    execFileSync('umount', ['-l', folder])
  }
}
