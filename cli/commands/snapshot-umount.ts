import { resolve } from 'node:path'
import { unmount } from '../../lib/system/mount.js'
import type { CommandContext } from '../context.js'

/** `cairn snapshot umount DIR` */
export async function snapshotUmount(
  context: CommandContext,
  target: string,
): Promise<void> {
  unmount(resolve(target))
  await context.output.result({ target }, '')
}
