import { readFileSync } from 'node:fs'

/**
 * The permissions that this process takes from what it makes; undefined where the system
 * does not say. process.umask() would set it for a moment, for all threads.
 */
export function findUmask(): number | undefined {
  const found = /^Umask:\s*([0-7]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))
  return found?.[1] === undefined ? undefined : Number.parseInt(found[1], 8)
}
