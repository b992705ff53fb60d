/** Bytes of a tar block: headers take whole ones, contents are padded to them. */
export const blockBytes = 512

/** The kinds of entry that a tar archive can hold. */
export type TarKind =
  | 'regular'
  | 'hard-link'
  | 'symlink'
  | 'char-device'
  | 'block-device'
  | 'directory'
  | 'fifo'

/** The type byte of each kind (POSIX ustar). */
export const typeOfKind: Readonly<Record<TarKind, string>> = {
  regular: '0',
  'hard-link': '1',
  symlink: '2',
  'char-device': '3',
  'block-device': '4',
  directory: '5',
  fifo: '6',
}

/** Where the fields of a header block are: offset and length. */
export const fields = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  time: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  target: [157, 100],
  magic: [257, 8],
  major: [329, 8],
  minor: [337, 8],
  prefix: [345, 155],
} as const

/** One field of a header block: offset and length. */
export type Field = readonly [number, number]

/** What a header block says of its own format. */
export type TarMagic = 'v7' | 'ustar' | 'gnu'

/** Magic and version together. */
export const magics = {
  ustar: Buffer.from('ustar\x0000', 'latin1'),
  gnu: Buffer.from('ustar  \x00', 'latin1'),
} as const

/** Bytes of the longest path of an entry, in both directions. */
export const maxPathBytes = 65_536

/** Bytes of the longest target of a symlink: PATH_MAX less the NUL. */
export const maxTargetBytes = 4095

/** Bytes of the largest extended header that is read. */
export const maxPaxBytes = 8 * 1024 * 1024

/** Parts of a sparse file that are not holes. */
export const maxSparseParts = 1_000_000

/** How many bytes follow content of a size, up to the next block. */
export function paddingOf(size: number): number {
  return (blockBytes - (size % blockBytes)) % blockBytes
}
