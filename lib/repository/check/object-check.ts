import type { ClosureProblem } from '../../closure/closure-problem.js'
import { walkClosure } from '../../closure/closure-walk.js'
import {
  CairnError,
  CorruptObjectError,
  InvalidObjectError,
  LimitExceededError,
  ObjectNotFoundError,
} from '../../errors.js'
import { applicationTotals, decodeApplication } from '../../object/application.js'
import {
  type Descriptor,
  noSubObjects,
  type ObjectLink,
  type SubObjectTotals,
} from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import { decodeDirectory, totalsOf } from '../../object/directory.js'
import type { ObjectType } from '../../object/object-type.js'
import {
  dependenciesOf,
  maxMetadataBytes,
  parseReceivedObject,
} from '../../object/received-object.js'
import type { ObjectStore, WholeObject } from '../../store/object-store.js'
import { CheckReader } from './check-reader.js'
import { type Finding, type FindingKind, findingOf } from './finding.js'
import { TotalsLedger } from './totals-ledger.js'

/** How far a check has come. */
type CheckProgress = {
  /** Distinct objects verified. */
  readonly objects: number
  /** Their payload bytes. */
  readonly bytes: number
}

/** What a check of objects is told. */
export type ObjectCheckOptions = {
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: CheckProgress) => void
}

type Target = ObjectLink & { readonly type: ObjectType }

const batchBytes = 8 * 1024 * 1024
const filesAtOnce = 4

/**
 * Verifies objects: each once, whatever number of references lead to it.
 *
 * Holds one entry in memory for each distinct object, and one batch of payloads.
 */
export class ObjectCheck {
  readonly #objects: ObjectStore
  readonly #reader: CheckReader
  readonly #options: ObjectCheckOptions
  readonly #totals = new TotalsLedger()
  readonly #seen = new Set<Digest>()
  #bytes = 0

  constructor(objects: ObjectStore, options: ObjectCheckOptions) {
    this.#objects = objects
    this.#reader = new CheckReader(objects)
    this.#options = options
  }

  /**
   * Verifies everything that the roots refer to, themselves included.
   *
   * A root for which `isExpendable` is true, and which is not there, makes a warning.
   */
  async *closure(
    roots: readonly Descriptor[],
    isExpendable: (digest: Digest) => boolean = () => false,
  ): AsyncGenerator<Finding, void> {
    const findings: Finding[] = []
    for (const root of roots) findings.push(...this.#totals.announce(root.digest, root))
    const onProblem = (problem: ClosureProblem): void => {
      const { digest } = problem.descriptor
      // Else it would be reported again among all objects.
      if (problem.kind === 'corrupt') this.#seen.add(digest)
      const isSpared = problem.parent === undefined && isExpendable(digest)
      findings.push(
        findingOf(problem.error, {
          severity: problem.kind === 'missing' && isSpared ? 'warning' : 'error',
          kind: `${problem.kind}-object`,
          where: digest,
        }),
      )
    }
    const { signal } = this.#options
    const batches = walkClosure(this.#reader, roots, {
      onProblem,
      prune: ({ digest }) => this.#seen.has(digest),
      ...(signal === undefined ? {} : { signal }),
    })
    for await (const batch of batches) {
      yield* findings.splice(0)
      yield* this.#verify(batch)
    }
    yield* findings
  }

  /** Verifies every object of the store that was not verified before. */
  async *everyObject(): AsyncGenerator<Finding, void> {
    for await (const digests of this.#objects.list()) {
      const unseen = digests.filter(digest => !this.#seen.has(digest))
      const infos = await this.#reader.stat(unseen)
      const targets: Target[] = []
      for (const [index, digest] of unseen.entries()) {
        const info = infos[index]
        if (info === undefined) {
          const error = new CorruptObjectError(`object ${digest} is no object file`)
          yield corrupt(digest, error)
        } else targets.push({ digest, ...info })
      }
      yield* this.#verify(targets)
      yield* this.#missingChildren(targets)
    }
  }

  async *#verify(targets: readonly Target[]): AsyncGenerator<Finding, void> {
    const files = targets.filter(({ type }) => type === 'file')
    for (let start = 0; start < files.length; start += filesAtOnce) {
      const group = files.slice(start, start + filesAtOnce)
      const findings = await Promise.all(group.map(file => this.#verifyFile(file)))
      yield* findings.flat()
    }
    for (const group of groupsOf(targets.filter(({ type }) => type !== 'file'))) {
      this.#options.signal?.throwIfAborted()
      for (const result of await this.#readEach(group)) {
        if ('severity' in result) yield result
        else yield* this.#inspect(result)
      }
    }
    for (const { digest, size } of targets) {
      this.#seen.add(digest)
      this.#bytes += size
    }
    this.#options.onProgress?.({ objects: this.#seen.size, bytes: this.#bytes })
  }

  async #verifyFile({ digest }: Target): Promise<Finding[]> {
    try {
      await this.#reader.verify(digest, this.#options.signal)
      return []
    } catch (error) {
      return [problemOf(digest, error)]
    }
  }

  async #readEach(targets: readonly Target[]): Promise<(WholeObject | Finding)[]> {
    try {
      return [...(await this.#reader.read(targets.map(({ digest }) => digest)))]
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
    }
    // One of them is bad: take them one by one to tell which.
    const results: (WholeObject | Finding)[] = []
    for (const { digest } of targets) {
      try {
        results.push(...(await this.#reader.read([digest])))
      } catch (error) {
        results.push(problemOf(digest, error))
      }
    }
    return results
  }

  /** Checks the form of an object whose digest is verified. */
  *#inspect(object: WholeObject): Generator<Finding, void> {
    const { digest, type, size, payload } = object
    let totals: SubObjectTotals
    try {
      totals = totalsOfObject(object)
      for (const child of dependenciesOf(type, payload, 'tolerant')) {
        if (child.type !== 'directory') continue
        yield* this.#totals.announce(child.digest, child)
      }
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
      yield corrupt(digest, error)
      return
    }
    yield* this.#totals.record(digest, totals)
    try {
      parseReceivedObject({ digest, type, size, ...totals }, payload)
    } catch (error) {
      if (!(error instanceof InvalidObjectError)) throw error
      yield findingOf(error, { severity: 'warning', kind: 'not-strict', where: digest })
    }
  }

  async *#missingChildren(targets: readonly Target[]): AsyncGenerator<Finding, void> {
    const inner = targets.filter(
      ({ type }) => type === 'directory' || type === 'application',
    )
    for (const group of groupsOf(inner)) {
      for (const parent of await this.#readEach(group)) {
        if ('severity' in parent) continue
        const children = childrenOf(parent)
        const present = await this.#reader.has(children.map(({ digest }) => digest))
        for (const [index, child] of children.entries()) {
          if (present.get(index)) continue
          const { digest, type } = child
          const message = `${type} ${digest} is missing: ${parent.digest} refers to it`
          yield { severity: 'error', kind: 'missing-object', where: digest, message }
        }
      }
    }
  }
}

/** Groups whose payloads fit into memory together. */
function* groupsOf(targets: readonly Target[]): Generator<Target[], void> {
  let group: Target[] = []
  let bytes = 0
  for (const target of targets) {
    if (group.length > 0 && bytes + target.size > batchBytes) {
      yield group
      group = []
      bytes = 0
    }
    group.push(target)
    bytes += Math.min(target.size, maxMetadataBytes)
  }
  if (group.length > 0) yield group
}

// What cannot be decoded was reported as corrupt when it was inspected.
function childrenOf({ type, payload }: WholeObject): Descriptor[] {
  try {
    return dependenciesOf(type, payload, 'tolerant')
  } catch (error) {
    if (error instanceof CairnError) return []
    throw error
  }
}

function totalsOfObject({ type, payload }: WholeObject): SubObjectTotals {
  if (type === 'directory') return totalsOf(decodeDirectory(payload, 'tolerant'))
  if (type === 'application') {
    return applicationTotals(decodeApplication(payload, 'tolerant'))
  }
  return noSubObjects
}

function problemOf(digest: Digest, error: unknown): Finding {
  if (error instanceof ObjectNotFoundError) {
    return findingOf(error, { severity: 'error', kind: 'missing-object', where: digest })
  }
  if (error instanceof CorruptObjectError || error instanceof LimitExceededError) {
    return corrupt(digest, error)
  }
  throw error
}

function corrupt(digest: Digest, error: CairnError): Finding {
  const kind: FindingKind = 'corrupt-object'
  return findingOf(error, { severity: 'error', kind, where: digest })
}
