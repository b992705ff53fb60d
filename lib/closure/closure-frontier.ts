import type { Descriptor } from '../object/descriptor.js'
import type { ObjectReader } from '../store/object-store.js'
import type { ClosureProblem, Reference } from './closure-problem.js'
import { ClosureReader, contradicted, type ProblemSink } from './closure-reader.js'
import { type ObjectMemory, SeenObjects } from './seen-objects.js'

/** Objects in one batch that a walk yields, about. */
export const batchObjects = 256

/** What a walk is told, whatever its order. */
export type FrontierOptions = {
  /** Whether to pass over an object and what only it leads to; asked once an object. */
  readonly prune?: (descriptor: Descriptor) => boolean
  readonly signal?: AbortSignal
  /**
   * Takes what is wrong as data: the walk passes over that object and goes on. Without
   * it the first problem is thrown: IncompleteClosureError, CorruptObjectError,
   * InvalidObjectError, WrongObjectTypeError, LimitExceededError.
   */
  readonly onProblem?: ProblemSink
  /**
   * Remembers what was met, for this walk and others; what it has met before is passed
   * over, with what only that leads to.
   */
  readonly memory?: ObjectMemory
}

/** What both orders share: what was met, what is passed over, what is reported. */
export class ClosureFrontier {
  readonly reader: ClosureReader
  readonly #seen: ObjectMemory
  readonly #prune: (descriptor: Descriptor) => boolean
  readonly #signal: AbortSignal | undefined
  readonly #report: ProblemSink

  constructor(reader: ObjectReader, options: FrontierOptions) {
    this.#report = options.onProblem ?? throwProblem
    this.reader = new ClosureReader(reader, this.#report)
    this.#prune = options.prune ?? (() => false)
    this.#signal = options.signal
    this.#seen = options.memory ?? new SeenObjects()
  }

  throwIfAborted(): void {
    this.#signal?.throwIfAborted()
  }

  /** Whether a reference leads to an object that is to be walked now. */
  meets(reference: Reference): boolean {
    const { descriptor } = reference
    const seen = this.#seen.add(descriptor)
    if (seen === 'other') this.#report(contradicted(reference))
    return seen === 'new' && !this.#prune(descriptor)
  }
}

function throwProblem({ error }: ClosureProblem): never {
  throw error
}
