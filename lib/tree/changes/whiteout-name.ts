const prefix = Buffer.from('.wh.')
const metaPrefix = Buffer.from('.wh..wh.')
const opaque = Buffer.from('.wh..wh..opq')

/** What a name in a layer means. */
export type WhiteoutMeaning =
  /** An entry like any other. */
  | { readonly kind: 'entry' }
  /** The entry of this name, in lower layers, is not there any more. */
  | { readonly kind: 'whiteout'; readonly name: Buffer }
  /** Nothing that lower layers have in this folder is there any more. */
  | { readonly kind: 'opaque' }
  /** Something that old union filesystems kept for themselves. */
  | { readonly kind: 'meta' }

/** The name of the mark in a folder that hides what lower layers have in it. */
export const opaqueName = opaque

/** The name of the mark that takes an entry away. */
export function whiteoutName(name: Uint8Array): Buffer {
  return Buffer.concat([prefix, name])
}

/** Reads the name of a layer's entry. */
export function meaningOfName(name: Buffer): WhiteoutMeaning {
  if (!startsWith(name, prefix)) return { kind: 'entry' }
  if (name.equals(opaque)) return { kind: 'opaque' }
  if (startsWith(name, metaPrefix)) return { kind: 'meta' }
  return { kind: 'whiteout', name: name.subarray(prefix.length) }
}

function startsWith(name: Buffer, start: Buffer): boolean {
  return name.subarray(0, start.length).equals(start)
}
