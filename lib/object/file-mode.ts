/**
 * File modes as header objects hold them: the bits of Go's os.FileMode
 * (format section 2.1), not those of st_mode.
 */
export const fileMode = {
  permissions: 0x0000_01ff,
  sticky: 0x0010_0000,
  charDevice: 0x0020_0000,
  setgid: 0x0040_0000,
  setuid: 0x0080_0000,
  socket: 0x0100_0000,
  fifo: 0x0200_0000,
  device: 0x0400_0000,
  symlink: 0x0800_0000,
  directory: 0x8000_0000,
} as const

/** What kind of filesystem entry a mode or a directory entry describes. */
export type EntryKind =
  | 'regular'
  | 'directory'
  | 'symlink'
  | 'block-device'
  | 'char-device'
  | 'fifo'
  | 'socket'

const typeMask =
  (fileMode.directory |
    fileMode.symlink |
    fileMode.device |
    fileMode.charDevice |
    fileMode.fifo |
    fileMode.socket) >>>
  0

const kindOfBits = new Map<number, EntryKind>([
  [0, 'regular'],
  [fileMode.directory, 'directory'],
  [fileMode.symlink, 'symlink'],
  [fileMode.device, 'block-device'],
  [(fileMode.device | fileMode.charDevice) >>> 0, 'char-device'],
  [fileMode.fifo, 'fifo'],
  [fileMode.socket, 'socket'],
])

const bitsOfKind = new Map([...kindOfBits].map(([bits, kind]) => [kind, bits]))

// st_mode of inode(7).
const kindOfFormat = new Map<number, EntryKind>([
  [0o100000, 'regular'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
  [0o060000, 'block-device'],
  [0o020000, 'char-device'],
  [0o010000, 'fifo'],
  [0o140000, 'socket'],
])

const specialBits = (fileMode.setuid | fileMode.setgid | fileMode.sticky) >>> 0
const knownBits = (typeMask | specialBits | fileMode.permissions) >>> 0

/** Converts st_mode of lstat(2); undefined for a type that inode(7) does not know. */
export function findModeOfStat(stMode: number): number | undefined {
  const kind = findKindOfStat(stMode)
  return kind === undefined ? undefined : modeOf(kind, stMode & 0o7777)
}

/** The kind of entry that st_mode of lstat(2) describes. */
export function findKindOfStat(stMode: number): EntryKind | undefined {
  return kindOfFormat.get(stMode & 0o170000)
}

/** Builds a mode from a kind and the 07777 permission bits of chmod(2). */
export function modeOf(kind: EntryKind, permissions: number): number {
  let mode = (bitsOfKind.get(kind) ?? 0) | (permissions & 0o777)
  if (permissions & 0o4000) mode |= fileMode.setuid
  if (permissions & 0o2000) mode |= fileMode.setgid
  if (permissions & 0o1000) mode |= fileMode.sticky
  return mode >>> 0
}

/** The 07777 bits for chmod(2). */
export function permissionsOf(mode: number): number {
  let permissions = mode & fileMode.permissions
  if (mode & fileMode.setuid) permissions |= 0o4000
  if (mode & fileMode.setgid) permissions |= 0o2000
  if (mode & fileMode.sticky) permissions |= 0o1000
  return permissions
}

/** The kind of entry that a mode describes; undefined for type bits that contradict. */
export function findKindOfMode(mode: number): EntryKind | undefined {
  return kindOfBits.get((mode & typeMask) >>> 0)
}

/** Whether a mode has only bits of format section 2.1. */
export function hasOnlyKnownBits(mode: number): boolean {
  return (mode & ~knownBits) === 0
}
