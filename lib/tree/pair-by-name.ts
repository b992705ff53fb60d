import type { DirectoryEntry } from '../object/directory.js'

/** An entry of a stored directory, and its place in walk order. */
export type Placed = { readonly entry: DirectoryEntry; readonly ordinal: number }

/** What stands under one name before and after; at least one is there. */
export type Pair = {
  readonly before: Placed | undefined
  readonly after: Placed | undefined
}

/** Brings entries of two folders together; both are in ascending order of names. */
export function pairByName(
  befores: readonly Placed[],
  afters: readonly Placed[],
): Pair[] {
  const pairs: Pair[] = []
  let one = 0
  let other = 0
  while (one < befores.length || other < afters.length) {
    const before = befores[one]
    const after = afters[other]
    const order = compareNames(before, after)
    pairs.push({
      before: order <= 0 ? before : undefined,
      after: order >= 0 ? after : undefined,
    })
    if (order <= 0) one++
    if (order >= 0) other++
  }
  return pairs
}

function compareNames(one: Placed | undefined, other: Placed | undefined): number {
  if (one === undefined) return 1
  if (other === undefined) return -1
  return Buffer.compare(one.entry.name, other.entry.name)
}
