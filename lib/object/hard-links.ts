import { InvalidObjectError } from '../errors.js'
import { encodeCbor } from './canonical-cbor.js'
import { type CborHead, invalidCbor, readCborHead } from './cbor-head.js'

/**
 * One set of names for one file: ordinals of entries, ascending, at least two.
 *
 * Ordinals count entries in walk order: the root is 0, then stored order, depth first.
 */
export type HardLinkGroup = readonly number[]

/** Encodes groups; throws InvalidObjectError unless they are in their one valid form. */
export function encodeHardLinks(groups: readonly HardLinkGroup[]): Buffer {
  const rule = new HardLinkRule()
  for (const group of groups) {
    rule.begin()
    for (const ordinal of group) rule.add(ordinal)
    rule.end()
  }
  return encodeCbor(groups)
}

/**
 * Decodes groups from an item whose form is already checked; throws InvalidObjectError.
 *
 * The rule is held while reading, so that what is built stays in proportion to the bytes.
 */
export function decodeHardLinks(bytes: Uint8Array): HardLinkGroup[] {
  const rule = new HardLinkRule()
  const groups: HardLinkGroup[] = []
  const outer = readArray(bytes, 0)
  let offset = outer.next
  for (let left = outer.argument; left > 0; left--) {
    const inner = readArray(bytes, offset)
    offset = inner.next
    const group: number[] = []
    rule.begin()
    for (let members = inner.argument; members > 0; members--) {
      const head = readCborHead(bytes, offset)
      if (head.major !== 0) throw invalidCbor(offset, 'an entry ordinal is no number')
      offset = head.next
      const ordinal = head.wide === undefined ? head.argument : Number(head.wide)
      rule.add(ordinal)
      group.push(ordinal)
    }
    rule.end()
    groups.push(group)
  }
  return groups
}

// Groups ascend by first member, members ascend, no ordinal stands twice: one form only.
// The root cannot be a hard link.
class HardLinkRule {
  readonly #seen = new Set<number>()
  #first = 0
  #before = 0
  #members = 0

  begin(): void {
    this.#members = 0
    this.#before = 0
  }

  add(ordinal: number): void {
    if (!Number.isInteger(ordinal) || ordinal < 1 || ordinal > 0xffff_ffff) {
      throw invalid(`expected an ordinal from 1 to 2^32-1, found ${ordinal}`)
    }
    if (this.#members === 0) {
      if (ordinal <= this.#first) throw invalid('groups do not ascend')
      this.#first = ordinal
    }
    if (ordinal <= this.#before) throw invalid('members of a group do not ascend')
    if (this.#seen.has(ordinal)) throw invalid(`entry ${ordinal} is in two groups`)
    this.#seen.add(ordinal)
    this.#before = ordinal
    this.#members += 1
  }

  end(): void {
    if (this.#members < 2) throw invalid('a group has fewer than two members')
  }
}

function readArray(bytes: Uint8Array, offset: number): CborHead {
  const head = readCborHead(bytes, offset)
  if (head.major !== 4) throw invalidCbor(offset, 'expected an array')
  return head
}

function invalid(problem: string): InvalidObjectError {
  return new InvalidObjectError(`invalid hard links: ${problem}`, { what: 'hard links' })
}
