import type { ClosureProblem } from '../../closure/closure-problem.js'
import { walkClosure } from '../../closure/closure-walk.js'
import type { ObjectMemory } from '../../closure/seen-objects.js'
import { CairnError } from '../../errors.js'
import type { Descriptor } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import type { ObjectReader } from '../../store/object-store.js'
import { CheckReader } from '../check/check-reader.js'
import { describeObject } from '../describe-object.js'
import type { MountSet } from '../mount-set.js'
import { listRoots, type Root, type RootOptions } from '../roots.js'
import type { TagStore } from '../tag-store.js'

/** What a walk from the roots needs of a repository. */
export type RootRooms = { readonly tags: TagStore; readonly mounts: MountSet }

/** What a walk is told, and whom it tells. */
export type RootWalkOptions = Pick<RootOptions, 'window' | 'now'> & {
  readonly signal?: AbortSignal | undefined
  /** What cannot be read: what only it leads to is not met. */
  readonly onProblem: (where: string, error: Error) => void
  /** Called as objects are met, with their payload bytes. */
  readonly onMet?: (batch: readonly Descriptor[]) => void
  /** Which roots to walk from; all without. */
  readonly chooses?: (root: Root) => boolean
}

/**
 * Walks what the roots of a repository lead to; walking again goes on with the roots that
 * came since.
 */
export class RootWalk {
  readonly #reader: ObjectReader
  readonly #memory: ObjectMemory
  readonly #options: RootWalkOptions
  readonly #walked = new Set<Digest>()

  constructor(reader: ObjectReader, memory: ObjectMemory, options: RootWalkOptions) {
    this.#reader = new CheckReader(reader)
    this.#memory = memory
    this.#options = options
  }

  /** Roots walked from so far. */
  get roots(): number {
    return this.#walked.size
  }

  /** Throws InvalidTagFileError for a tag or a log that cannot be read. */
  async walk(rooms: RootRooms): Promise<void> {
    const roots: Descriptor[] = []
    for await (const root of listRoots(rooms.tags, rooms.mounts, this.#options)) {
      if (this.#options.chooses?.(root) === false) continue
      const descriptor = await this.#describe(root)
      if (descriptor === undefined || this.#walked.has(descriptor.digest)) continue
      this.#walked.add(descriptor.digest)
      roots.push(descriptor)
    }
    await this.from(roots, ({ error, descriptor }) =>
      this.#options.onProblem(descriptor.digest, error),
    )
  }

  /** Walks from these objects, too. */
  async from(
    roots: readonly Descriptor[],
    onProblem: (problem: ClosureProblem) => void,
  ): Promise<void> {
    const { signal, onMet } = this.#options
    const walk = walkClosure(this.#reader, roots, {
      memory: this.#memory,
      onProblem,
      ...(signal === undefined ? {} : { signal }),
    })
    for await (const batch of walk) onMet?.(batch)
  }

  async #describe(root: Root): Promise<Descriptor | undefined> {
    if (root.kind === 'tag') return root.descriptor
    if (root.kind === 'log') {
      // A value that another program put away may have gone with it.
      const [info] = await this.#reader.stat([root.descriptor.digest])
      return info && root.descriptor
    }
    try {
      return await describeObject(this.#reader, root.digest)
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
      this.#options.onProblem(root.digest, error)
      return undefined
    }
  }
}
