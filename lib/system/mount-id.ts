import { readFileSync } from 'node:fs'

/**
 * The kernel's number of the mount that an open file was reached through.
 *
 * Unlike a device number it also tells a bind mount of the same filesystem apart.
 */
export function mountIdOf(fd: number): number {
  const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')
  const id = /^mnt_id:\s*(\d+)$/m.exec(info)?.[1]
  if (id === undefined) throw new Error(`no mount id of descriptor ${fd}`)
  return Number(id)
}
