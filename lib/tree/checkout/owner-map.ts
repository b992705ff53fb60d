import { InvalidArgumentError } from '../../errors.js'

/** The id of a user or a group on this machine for one in a tree; undefined: unmapped. */
export type OwnerMap = {
  findUid(uid: number): number | undefined
  findGid(gid: number): number | undefined
}

type Range = { readonly from: number; readonly to: number; readonly count: number }

/** Ids above this one do not exist: 2^32-1 means "leave alone" to chown(2). */
export const maxOwnerId = 0xffff_fffe

/**
 * Parses owner rules; throws InvalidArgumentError.
 *
 * A rule is `[u:|g:]FROM:TO[:COUNT]`: COUNT ids (1 unless given) from FROM on become those
 * from TO on, for users, for groups, or for both. The first rule that covers an id counts.
 * The rule `self` gives everything to `self`. When a rule speaks of users, a user id that
 * no rule covers is unmapped, and groups likewise; ids of which no rule speaks stay.
 */
export function parseOwnerMap(
  rules: readonly string[],
  self: { readonly uid: number; readonly gid: number },
): OwnerMap {
  const users: Range[] = []
  const groups: Range[] = []
  for (const rule of rules) {
    if (rule === 'self') {
      return { findUid: () => self.uid, findGid: () => self.gid }
    }
    const { kind, range } = parseRule(rule)
    if (kind !== 'g') users.push(range)
    if (kind !== 'u') groups.push(range)
  }
  return { findUid: id => findIn(users, id), findGid: id => findIn(groups, id) }
}

function findIn(ranges: readonly Range[], id: number): number | undefined {
  if (ranges.length === 0) return id
  const range = ranges.find(({ from, count }) => id >= from && id < from + count)
  return range === undefined ? undefined : range.to + (id - range.from)
}

function parseRule(rule: string): { kind: string | undefined; range: Range } {
  const match = /^(?:([ug]):)?(\d{1,10}):(\d{1,10})(?::(\d{1,10}))?$/.exec(rule)
  if (match === null) {
    throw new InvalidArgumentError(
      `invalid owner rule ${JSON.stringify(rule)}: expected [u:|g:]FROM:TO[:COUNT] or self`,
      { rule },
    )
  }
  const [, kind, from, to, count = '1'] = match
  const range = { from: Number(from), to: Number(to), count: Number(count) }
  const last = Math.max(range.from, range.to) + range.count - 1
  if (range.count === 0 || last > maxOwnerId) {
    throw new InvalidArgumentError(
      `invalid owner rule ${JSON.stringify(rule)}: expected a count of 1 or more and ids up ` +
        `to ${maxOwnerId}`,
      { rule },
    )
  }
  return { kind, range }
}
