import { CorruptObjectError } from '../errors.js'
import { algorithmOf, type Digest } from '../object/digest.js'
import type { ObjectType } from '../object/object-type.js'
import type { HeldObject, StoreSession } from '../store/object-store.js'

/** A received object that may be committed: everything it refers to was added before. */
export type CommitStep =
  | {
      readonly kind: 'whole'
      readonly digest: Digest
      readonly type: ObjectType
      readonly payload: Buffer
    }
  | { readonly kind: 'held'; readonly held: HeldObject }

const maxSteps = 256
const maxBytes = 256 * 1024

/** Commits objects in the order in which they are added, small ones in batches. */
export class CommitOrder {
  readonly #session: StoreSession
  #steps: CommitStep[] = []
  #bytes = 0

  constructor(session: StoreSession) {
    this.#session = session
  }

  /** Whether enough has gathered to be written. */
  get due(): boolean {
    return this.#steps.length >= maxSteps || this.#bytes >= maxBytes
  }

  /** Adds an object; it is committed by the next flush. */
  add(step: CommitStep): void {
    this.#steps.push(step)
    if (step.kind === 'whole') this.#bytes += step.payload.length
  }

  /** Commits all that was added. */
  async flush(): Promise<void> {
    const steps = this.#steps
    this.#steps = []
    this.#bytes = 0
    for (let start = 0; start < steps.length; ) {
      const step = steps[start]
      if (step?.kind === 'held') {
        await step.held.commit()
        start += 1
      } else {
        const row = wholeFrom(steps, start)
        await this.#put(row)
        start += row.length
      }
    }
  }

  async #put(row: readonly WholeStep[]): Promise<void> {
    const links = await this.#session.put(
      row.map(({ digest, type, payload }) => ({
        type,
        payload,
        algorithm: algorithmOf(digest),
      })),
    )
    for (const [index, { digest, type }] of row.entries()) {
      const found = links[index]?.digest
      if (found !== digest) {
        throw new CorruptObjectError(
          `${type} ${digest} changed in memory: it was stored as ${found}`,
          { expected: digest, found },
        )
      }
    }
  }
}

type WholeStep = Extract<CommitStep, { kind: 'whole' }>

function wholeFrom(steps: readonly CommitStep[], start: number): WholeStep[] {
  const row: WholeStep[] = []
  for (let index = start; index < steps.length; index++) {
    const step = steps[index]
    if (step?.kind !== 'whole') break
    row.push(step)
  }
  return row
}
