import { closeSync } from 'node:fs'
import { bind, cString } from './libc.js'

// These calls have one number on every architecture, and older C libraries lack them.
const fsopen = bind<[number, Buffer, number]>(
  'fsopen',
  'long syscall(long number, const uint8_t *type, unsigned int flags)',
)
const fsconfig = bind<[number, number, number, Buffer | null, Buffer | null, number]>(
  'fsconfig',
  'long syscall(long number, int fd, unsigned int command, const uint8_t *key, const uint8_t *value, int extra)',
)
const fsmount = bind<[number, number, number, number]>(
  'fsmount',
  'long syscall(long number, int fd, unsigned int flags, unsigned int attributes)',
)

const numbers = { fsopen: 430, fsconfig: 431, fsmount: 432 } as const
const closeOnExec = 1
const setFlag = 0
const setString = 1
const create = 6

/**
 * Makes a mount that is attached nowhere; it ends when the returned descriptor is closed,
 * also by the death of this process. Throws the system's error, ENOSYS before Linux 5.2.
 *
 * @param options - pairs of name and value, or names alone
 */
export function openDetachedMount(
  type: string,
  options: readonly (readonly [string, string?])[],
): number {
  const context = fsopen(numbers.fsopen, cString(type), closeOnExec)
  try {
    for (const [key, value] of options) {
      const command = value === undefined ? setFlag : setString
      const text = value === undefined ? null : cString(value)
      fsconfig(numbers.fsconfig, context, command, cString(key), text, 0)
    }
    fsconfig(numbers.fsconfig, context, create, null, null, 0)
    return fsmount(numbers.fsmount, context, closeOnExec, 0)
  } finally {
    closeSync(context)
  }
}
