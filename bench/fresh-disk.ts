import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/**
 * A folder on a filesystem made for it. Disposing removes it with all in it.
 *
 * ext4 is slow at making files where many were removed shortly before: on a filesystem
 * that is in use every measurement would suffer from the one before.
 */
export type FreshDisk = Disposable & { readonly folder: string }

const options = ['-q', '-E', 'lazy_itable_init=0,lazy_journal_init=0']

/** Makes one in a folder; without root it is only an empty folder there. */
export function makeFreshDisk(work: string, bytes: number): FreshDisk {
  const folder = join(work, 'disk')
  mkdirSync(folder, { recursive: true })
  if (process.getuid?.() !== 0) {
    return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) }
  }
  const image = join(work, 'disk.img')
  run('fallocate', '-l', `${Math.ceil(bytes / 2 ** 20)}M`, image)
  run('mkfs.ext4', ...options, image)
  const device = run('losetup', '-f', '--show', '--direct-io=on', image).trim()
  run('mount', device, folder)
  return {
    folder,
    [Symbol.dispose]: () => {
      run('umount', folder)
      run('losetup', '-d', device)
      rmSync(image)
    },
  }
}

function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8' })
}
