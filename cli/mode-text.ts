import { type EntryKind, fileMode, permissionsOf } from '../lib/object/file-mode.js'

const kindLetters: Readonly<Record<EntryKind, string>> = {
  regular: '-',
  directory: 'd',
  symlink: 'l',
  'block-device': 'b',
  'char-device': 'c',
  fifo: 'p',
  socket: 's',
}

/** A mode as `ls -l` shows it: `-rwsr-xr-x`, `drwxrwxrwt`. */
export function formatMode(kind: EntryKind, mode: number): string {
  const triple = (shift: number, special: number, letter: string): string => {
    const bits = (mode >>> shift) & 7
    const isSpecial = (mode & special) !== 0
    const runnable = (bits & 1) !== 0
    const last = isSpecial
      ? runnable
        ? letter
        : letter.toUpperCase()
      : runnable
        ? 'x'
        : '-'
    return `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${last}`
  }
  return (
    kindLetters[kind] +
    triple(6, fileMode.setuid, 's') +
    triple(3, fileMode.setgid, 's') +
    triple(0, fileMode.sticky, 't')
  )
}

/** The 07777 bits in octal, four digits, as chmod takes them: `4755`. */
export function formatPermissions(mode: number): string {
  return permissionsOf(mode).toString(8).padStart(4, '0')
}
