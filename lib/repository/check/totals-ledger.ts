import type { SubObjectTotals } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import type { Finding } from './finding.js'

/**
 * Compares the totals that references announce with those that the objects have, in
 * whatever order the two come.
 */
export class TotalsLedger {
  readonly #actual = new Map<Digest, SubObjectTotals>()
  readonly #announced = new Map<Digest, SubObjectTotals>()

  /** Notes what a reference says. */
  announce(digest: Digest, announced: SubObjectTotals): Finding[] {
    const actual = this.#actual.get(digest)
    if (actual !== undefined) return compare(digest, announced, actual)
    const before = this.#announced.get(digest)
    if (before === undefined) {
      this.#announced.set(digest, announced)
      return []
    }
    // Two that disagree cannot both be right, whatever the object turns out to be.
    return compare(digest, announced, before)
  }

  /** Notes what an object has. */
  record(digest: Digest, actual: SubObjectTotals): Finding[] {
    this.#actual.set(digest, actual)
    const announced = this.#announced.get(digest)
    if (announced === undefined) return []
    this.#announced.delete(digest)
    return compare(digest, announced, actual)
  }
}

function compare(
  digest: Digest,
  announced: SubObjectTotals,
  actual: SubObjectTotals,
): Finding[] {
  const expected = shown(actual)
  const found = shown(announced)
  if (expected === found) return []
  return [
    {
      severity: 'error',
      kind: 'wrong-totals',
      where: digest,
      message: `a reference to ${digest} has wrong totals: expected ${expected}, found ${found}`,
      expected,
      found,
    },
  ]
}

function shown({ subObjectCount, subObjectsSize }: SubObjectTotals): string {
  return `${subObjectCount} objects of ${subObjectsSize} bytes`
}
