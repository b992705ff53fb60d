import {
  CorruptObjectError,
  InvalidObjectError,
  LimitExceededError,
  ObjectNotFoundError,
  WrongObjectTypeError,
} from '../errors.js'
import type { Descriptor } from '../object/descriptor.js'
import { walkDependencies } from '../object/received-object.js'
import type { ObjectInfo, ObjectReader, WholeObject } from '../store/object-store.js'
import { type ClosureProblem, missing, type Reference } from './closure-problem.js'

/** Takes problems as data, or throws them. */
export type ProblemSink = (problem: ClosureProblem) => void

/** Whether an object refers to others. */
export function isInner({ type }: Descriptor): boolean {
  return type === 'directory' || type === 'application'
}

/** Reads objects for a walk, and compares them with what their references say. */
export class ClosureReader {
  readonly #reader: ObjectReader
  readonly #report: ProblemSink

  constructor(reader: ObjectReader, report: ProblemSink) {
    this.#reader = reader
    this.#report = report
  }

  /** Those references whose objects are present with the announced type and size. */
  async confirm(references: readonly Reference[]): Promise<Reference[]> {
    const digests = references.map(({ descriptor }) => descriptor.digest)
    const infos = await this.#reader.stat(digests)
    return references.filter((reference, index) => this.#agrees(reference, infos[index]))
  }

  /** What each confirmed inner object refers to; undefined for one that is corrupt. */
  async dependencies(
    references: readonly Reference[],
  ): Promise<(Iterable<Descriptor> | undefined)[]> {
    const objects = await this.#readEach(references)
    return references.map((reference, index) => {
      const object = objects[index]
      if (object === undefined || !this.#agrees(reference, object)) return undefined
      try {
        return walkDependencies(object.type, object.payload, 'tolerant')
      } catch (error) {
        if (!(error instanceof InvalidObjectError)) throw error
        this.#report({ ...reference, kind: 'corrupt', error })
        return undefined
      }
    })
  }

  async #readEach(
    references: readonly Reference[],
  ): Promise<readonly (WholeObject | undefined)[]> {
    try {
      return await this.#reader.read(references.map(one => one.descriptor.digest))
    } catch (error) {
      if (findProblem(error, references[0]) === undefined) throw error
    }
    // One of them cannot be read: take them one by one to tell which.
    const objects: (WholeObject | undefined)[] = []
    for (const reference of references) objects.push(await this.#readOne(reference))
    return objects
  }

  async #readOne(reference: Reference): Promise<WholeObject | undefined> {
    try {
      const [object] = await this.#reader.read([reference.descriptor.digest])
      return object
    } catch (error) {
      const problem = findProblem(error, reference)
      if (problem === undefined) throw error
      this.#report(problem)
      return undefined
    }
  }

  #agrees(reference: Reference, found: ObjectInfo | undefined): boolean {
    const { descriptor } = reference
    if (found === undefined) {
      this.#report(missing(reference))
      return false
    }
    if (found.type === descriptor.type && found.size === descriptor.size) return true
    this.#report(contradicted(reference, found))
    return false
  }
}

/** A reference whose object is known under another type or size. */
export function contradicted(reference: Reference, found?: ObjectInfo): ClosureProblem {
  const { descriptor, parent } = reference
  const { digest, type, size } = descriptor
  const source = parent ?? 'the caller'
  const error =
    found !== undefined && found.type !== type
      ? new WrongObjectTypeError(
          `object ${digest} has another type than ${source} says: expected ${type}, found ${found.type}`,
          { digest, parent, expected: type, found: found.type },
        )
      : new InvalidObjectError(
          `object ${digest} is not what ${source} says: expected a ${type} of ${size} bytes, ` +
            `found ${found === undefined ? 'another type or size' : `${found.size}`}`,
          { digest, parent, expected: size, found: found?.size },
        )
  return { ...reference, kind: 'contradicted', error }
}

function findProblem(
  error: unknown,
  reference: Reference | undefined,
): ClosureProblem | undefined {
  if (reference === undefined) return undefined
  if (error instanceof ObjectNotFoundError) return missing(reference)
  if (error instanceof CorruptObjectError || error instanceof LimitExceededError) {
    return { ...reference, kind: 'corrupt', error }
  }
  return undefined
}
