import type { ClosureProblem } from '../../closure/closure-problem.js'
import { walkClosure } from '../../closure/closure-walk.js'
import type { ObjectMemory } from '../../closure/seen-objects.js'
import {
  CairnError,
  CorruptObjectError,
  LimitExceededError,
  ObjectNotFoundError,
} from '../../errors.js'
import type { Descriptor, ObjectLink } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import type { ObjectType } from '../../object/object-type.js'
import { maxMetadataBytes } from '../../object/received-object.js'
import type { ObjectReader, WholeObject } from '../../store/object-store.js'
import { CheckReader } from './check-reader.js'
import { type Finding, findingOf } from './finding.js'
import { Inspector } from './inspector.js'
import type { ScanOptions } from './scan-objects.js'

type Target = ObjectLink & { readonly type: ObjectType }

const batchBytes = 8 * 1024 * 1024
const filesAtOnce = 4

/** Verifies what some objects lead to: each once, whatever number of references there is. */
export class ClosureCheck {
  readonly #reader: CheckReader
  readonly #inspector: Inspector
  readonly #memory: ObjectMemory
  readonly #options: ScanOptions
  #objects = 0
  #bytes = 0

  /** @param memory - remembers what was verified */
  constructor(objects: ObjectReader, memory: ObjectMemory, options: ScanOptions) {
    this.#reader = new CheckReader(objects)
    this.#inspector = new Inspector(this.#reader, { references: 'known' })
    this.#memory = memory
    this.#options = options
  }

  /**
   * Verifies everything that the roots refer to, themselves included.
   *
   * A root for which `isExpendable` is true, and which is not there, makes a warning.
   */
  async *run(
    roots: readonly Descriptor[],
    isExpendable: (digest: Digest) => boolean = () => false,
  ): AsyncGenerator<Finding, void> {
    const findings: Finding[] = []
    const onProblem = (problem: ClosureProblem): void => {
      const { descriptor, kind, error, parent } = problem
      const isSpared = parent === undefined && isExpendable(descriptor.digest)
      findings.push({
        ...findingOf(error, {
          severity: kind === 'missing' && isSpared ? 'warning' : 'error',
          kind: `${kind}-object`,
          where: descriptor.digest,
        }),
        ...(kind === 'missing' ? { missing: descriptor } : {}),
      })
    }
    const { signal } = this.#options
    const batches = walkClosure(this.#reader, roots, {
      onProblem,
      memory: this.#memory,
      ...(signal === undefined ? {} : { signal }),
    })
    for await (const batch of batches) {
      yield* findings.splice(0)
      yield* this.#verify(batch)
    }
    yield* findings
    for (const root of roots) {
      const finding = await this.#inspector.checkTotals(root)
      if (finding !== undefined) yield finding
    }
  }

  async *#verify(targets: readonly Target[]): AsyncGenerator<Finding, void> {
    const { depth, onProgress, signal } = this.#options
    if (depth === 'full') {
      const files = targets.filter(({ type }) => type === 'file')
      for (let start = 0; start < files.length; start += filesAtOnce) {
        const group = files.slice(start, start + filesAtOnce)
        const findings = await Promise.all(group.map(file => this.#verifyFile(file)))
        yield* findings.flat()
      }
    }
    const read = targets.filter(
      ({ type }) => type !== 'file' && (depth === 'full' || type !== 'header'),
    )
    for (const group of groupsOf(read)) {
      signal?.throwIfAborted()
      for (const result of await this.#readEach(group)) {
        if ('severity' in result) yield result
        else yield* await this.#inspector.inspect(result)
      }
    }
    this.#objects += targets.length
    for (const { size } of targets) this.#bytes += size
    onProgress?.({ objects: this.#objects, bytes: this.#bytes })
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

function problemOf(digest: Digest, error: unknown): Finding {
  const finding = { severity: 'error', where: digest } as const
  if (error instanceof ObjectNotFoundError) {
    return findingOf(error, { ...finding, kind: 'missing-object' })
  }
  if (error instanceof CorruptObjectError || error instanceof LimitExceededError) {
    return findingOf(error, { ...finding, kind: 'corrupt-object' })
  }
  throw error
}
