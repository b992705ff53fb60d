/** Bytes of the longest entry name: NAME_MAX of Linux. */
const maxNameBytes = 255

/**
 * Says what is wrong with the name of a directory entry; undefined when nothing is.
 *
 * A name that passes can be handed to the kernel as one path component.
 */
export function findNameProblem(name: Uint8Array): string | undefined {
  if (name.length === 0) return 'is empty'
  if (name.length > maxNameBytes) {
    return `is too long: expected at most ${maxNameBytes} bytes, found ${name.length}`
  }
  if (name[0] === 0x2e) {
    if (name.length === 1) return 'is "."'
    if (name.length === 2 && name[1] === 0x2e) return 'is ".."'
  }
  // A loop, because a call into native code costs more than the few bytes of most names.
  for (const byte of name) {
    if (byte === 0x2f) return 'holds a slash'
    if (byte === 0) return 'holds a NUL byte'
  }
  return undefined
}
