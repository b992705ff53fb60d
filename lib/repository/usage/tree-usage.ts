import { walkClosure } from '../../closure/closure-walk.js'
import type { ObjectMemory } from '../../closure/seen-objects.js'
import { InvalidArgumentError } from '../../errors.js'
import type { Descriptor } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import type { ObjectReader } from '../../store/object-store.js'
import { CheckReader } from '../check/check-reader.js'
import { type NumberedObject, NumberTable, type ObjectNumbers } from './object-numbers.js'

/** Objects, their payload bytes, and the bytes that they take in the repository. */
export type UsageTally = {
  readonly objects: number
  readonly bytes: number
  readonly storedBytes: number
}

/** What one tree needs. */
export type TreeUsage = {
  /** Of the tree as it was checked in: every reference counted. */
  readonly logicalBytes: bigint
  /** Objects that only this tree leads to. */
  readonly alone: UsageTally
  /** Objects that others of the trees lead to as well. */
  readonly shared: UsageTally
}

/** Trees in one comparison: each has a number in a table of 16 bits. */
const maxTrees = 65_534
const several = 65_535

/**
 * Tells what each of some trees needs alone, and what it shares with any other of them.
 *
 * `total` is what those that were asked for need together: each object once. Each object is
 * met some times for each tree; memory is six bytes an object.
 * Throws what reading them throws: what cannot be read would make every number wrong.
 */
export async function treeUsages(
  reader: ObjectReader,
  trees: readonly Descriptor[],
  numbers: ObjectNumbers,
  { asked = trees.length, signal }: { asked?: number; signal?: AbortSignal } = {},
): Promise<{ trees: TreeUsage[]; total: UsageTally }> {
  if (trees.length > maxTrees) {
    throw new InvalidArgumentError(
      `too many trees to compare: expected at most ${maxTrees}, found ${trees.length}`,
    )
  }
  const checked = new CheckReader(reader)
  const owners = new NumberTable(numbers.limit)
  const watched = signal === undefined ? {} : { signal }
  for (const [index, tree] of trees.entries()) {
    const memory = new OwnerMemory(owners, numbers, index + 1)
    for await (const batch of walkClosure(checked, [tree], { memory, ...watched })) {
      if (batch.length > 0) signal?.throwIfAborted()
    }
  }
  const visits = new NumberTable(numbers.limit)
  const counted = new NumberTable(numbers.limit)
  const total = new Tally()
  const usages: TreeUsage[] = []
  for (const [index, tree] of trees.slice(0, asked).entries()) {
    const alone = new Tally()
    const shared = new Tally()
    const memory = new VisitMemory(visits, numbers, index + 1)
    for await (const batch of walkClosure(checked, [tree], { memory, ...watched })) {
      for (const { digest, size } of batch) {
        const object = numbers.of(digest)
        const isAlone = owners.get(object.number) === index + 1
        ;(isAlone ? alone : shared).add(size, object)
        if (counted.get(object.number) === 0) total.add(size, object)
        counted.set(object.number, 1)
      }
    }
    const logicalBytes = BigInt(tree.size) + tree.subObjectsSize
    usages.push({ logicalBytes, alone: alone.tally, shared: shared.tally })
  }
  return { trees: usages, total: total.tally }
}

/** Adds up objects. */
export class Tally {
  #objects = 0
  #bytes = 0
  #storedBytes = 0

  add(
    size: number,
    { storedBytes = size + 1 }: Pick<NumberedObject, 'storedBytes'>,
  ): void {
    this.#objects += 1
    this.#bytes += size
    this.#storedBytes += storedBytes
  }

  get tally(): UsageTally {
    return {
      objects: this.#objects,
      bytes: this.#bytes,
      storedBytes: this.#storedBytes,
    }
  }
}

// Lets a walk pass what belongs to several trees already: so does all below it.
class OwnerMemory implements ObjectMemory {
  readonly #owners: NumberTable
  readonly #numbers: ObjectNumbers
  readonly #tree: number

  constructor(owners: NumberTable, numbers: ObjectNumbers, tree: number) {
    this.#owners = owners
    this.#numbers = numbers
    this.#tree = tree
  }

  add({ digest }: { digest: Digest }): 'new' | 'same' {
    const { number } = this.#numbers.of(digest)
    const owner = this.#owners.get(number)
    if (owner === this.#tree || owner === several) return 'same'
    this.#owners.set(number, owner === 0 ? this.#tree : several)
    return 'new'
  }
}

/** Remembers what a walk has met, in a table that other walks use, too. */
export class VisitMemory implements ObjectMemory {
  readonly #visits: NumberTable
  readonly #numbers: ObjectNumbers
  readonly #walk: number

  /** @param walk - a number above 0 that no other walk over the table has */
  constructor(visits: NumberTable, numbers: ObjectNumbers, walk: number) {
    this.#visits = visits
    this.#numbers = numbers
    this.#walk = walk
  }

  add({ digest }: { digest: Digest }): 'new' | 'same' {
    const { number } = this.#numbers.of(digest)
    if (this.#visits.get(number) === this.#walk) return 'same'
    this.#visits.set(number, this.#walk)
    return 'new'
  }
}
