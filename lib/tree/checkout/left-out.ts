/** What a checkout can leave out when this user or platform may not restore it. */
export type LeftOutKind =
  | 'owner'
  | 'set-id'
  | 'device'
  | 'fifo'
  | 'socket'
  | 'hard-link'
  | 'nanoseconds'
  | 'xattr'
  | 'user-xattr'
  | 'system-xattr'
  | 'security-xattr'
  | 'trusted-xattr'

/** One kind of thing that was left out. */
export type LeftOut<Kind extends string = LeftOutKind> = {
  readonly kind: Kind
  /** How often. */
  readonly count: number
  /** Where, the first few times: paths inside the tree, empty for its root. */
  readonly paths: readonly Buffer[]
}

const shownPaths = 10

/** Collects what is left out; its memory is bounded. */
export class LeftOutList<Kind extends string = LeftOutKind> {
  readonly #kinds = new Map<Kind, { count: number; readonly paths: Buffer[] }>()

  add(kind: Kind, path: () => Buffer): void {
    const known = this.#kinds.get(kind) ?? { count: 0, paths: [] }
    known.count++
    if (known.paths.length < shownPaths) known.paths.push(path())
    this.#kinds.set(kind, known)
  }

  finish(): LeftOut<Kind>[] {
    return [...this.#kinds].map(([kind, { count, paths }]) => ({ kind, count, paths }))
  }
}

/** The kind of left-out thing that an extended attribute is. */
export function xattrKind(key: Buffer): LeftOutKind {
  const namespace = key.subarray(0, Math.max(0, key.indexOf('.'))).toString('latin1')
  switch (namespace) {
    case 'user':
      return 'user-xattr'
    case 'system':
      return 'system-xattr'
    case 'security':
      return 'security-xattr'
    case 'trusted':
      return 'trusted-xattr'
    default:
      return 'xattr'
  }
}
