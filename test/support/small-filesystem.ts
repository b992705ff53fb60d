import { execFileSync } from 'node:child_process'
import { mkdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'

/** Why a filesystem cannot be mounted here; false when it can. */
export const cannotMount: string | false =
  process.getuid?.() === 0 ? false : 'only root may mount a small filesystem'

/** Runs with a filesystem of this size (as mount takes it), in a new folder in another. */
export async function withSmallFilesystem(
  parent: string,
  size: string,
  action: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = join(parent, 'small')
  mkdirSync(folder)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder])
  try {
    await action(folder)
  } finally {
    execFileSync('umount', ['-l', folder])
    rmdirSync(folder)
  }
}
