import { CairnError, InvalidObjectError } from '../../errors.js'
import {
  applicationDependencies,
  applicationTotals,
  decodeApplication,
} from '../../object/application.js'
import { batchesOf } from '../../object/batches.js'
import {
  type Descriptor,
  noSubObjects,
  type SubObjectTotals,
} from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import { totalsOf } from '../../object/directory.js'
import { DirectoryView } from '../../object/directory-view.js'
import { decodeHeader } from '../../object/header.js'
import type { ObjectType } from '../../object/object-type.js'
import { checkOneAlgorithm } from '../../object/received-object.js'
import type { Strictness } from '../../object/strictness.js'
import type { ObjectInfo, ObjectReader, WholeObject } from '../../store/object-store.js'
import { type Finding, findingOf } from './finding.js'

// What is forgotten costs another look into the store.
const maxRemembered = 32_768
const lookBatch = 1024

/** How an inspector works. */
export type InspectorOptions = {
  /**
   * `look-up`: what an object refers to must be in the store, with the type and size that
   * the reference names. `known`: somebody else sees to that.
   */
  readonly references: 'look-up' | 'known'
}

/**
 * Checks the form of objects whose digests are verified, and what they say of the objects
 * that they refer to: each by itself, so that memory does not grow with their number.
 *
 * Where every object passes, every object has its closure.
 */
export class Inspector {
  readonly #reader: ObjectReader
  readonly #references: InspectorOptions['references']
  /** Sizes of headers that are there. */
  readonly #headers = new Recent<number>()
  readonly #totals = new Recent<SubObjectTotals>()

  constructor(reader: ObjectReader, { references }: InspectorOptions) {
    this.#reader = reader
    this.#references = references
  }

  /** What is wrong with a header, directory or application. */
  async inspect(object: WholeObject): Promise<Finding[]> {
    const { digest, type, payload } = object
    const findings: Finding[] = []
    let decoded: DecodedObject
    try {
      decoded = decode(type, payload)
      checkOneAlgorithm(digest, decoded.children())
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
      return [
        findingOf(error, { severity: 'error', kind: 'invalid-object', where: digest }),
      ]
    }
    const { totals, children, sloppiness } = decoded
    if (type === 'directory') this.#totals.set(digest, totals)
    if (sloppiness !== undefined) {
      const finding = { severity: 'warning', kind: 'not-strict', where: digest } as const
      findings.push(findingOf(sloppiness, finding))
    }
    for (const batch of batchesOf(children(), lookBatch)) {
      const present =
        this.#references === 'known'
          ? batch
          : await this.#lookUp(batch, digest, finding => findings.push(finding))
      for (const child of present) {
        if (child.type !== 'directory') continue
        const finding = await this.checkTotals(child)
        if (finding !== undefined) findings.push(finding)
      }
    }
    return findings
  }

  /** Compares the totals that a reference names with those of the object. */
  async checkTotals(reference: Descriptor): Promise<Finding | undefined> {
    const { digest } = reference
    const actual = this.#totals.get(digest) ?? (await this.#readTotals(digest))
    if (actual === undefined) return undefined
    const expected = shown(actual)
    const found = shown(reference)
    if (expected === found) return undefined
    return {
      severity: 'error',
      kind: 'wrong-totals',
      where: digest,
      message: `a reference to ${digest} has wrong totals: expected ${expected}, found ${found}`,
      expected,
      found,
    }
  }

  /** Those that are as their references say; tells the others. */
  async #lookUp(
    children: readonly Descriptor[],
    parent: Digest,
    report: (finding: Finding) => void,
  ): Promise<readonly Descriptor[]> {
    // Headers come again and again, files seldom.
    const asked = children.filter(
      ({ type, digest, size }) => type !== 'header' || this.#headers.get(digest) !== size,
    )
    const infos = await this.#reader.stat(asked.map(({ digest }) => digest))
    const bad = new Set<Descriptor>()
    for (const [index, child] of asked.entries()) {
      const finding = findingOfChild(child, parent, infos[index])
      if (finding !== undefined) {
        report(finding)
        bad.add(child)
      } else if (child.type === 'header') this.#headers.set(child.digest, child.size)
    }
    return bad.size === 0 ? children : children.filter(child => !bad.has(child))
  }

  // One that cannot be read is reported for itself.
  async #readTotals(digest: Digest): Promise<SubObjectTotals | undefined> {
    try {
      const [object] = await this.#reader.read([digest])
      if (object === undefined) return undefined
      const { totals } = decode(object.type, object.payload)
      this.#totals.set(digest, totals)
      return totals
    } catch (error) {
      if (error instanceof CairnError) return undefined
      throw error
    }
  }
}

/** Remembers what was told last, up to a bound. */
class Recent<Value> {
  #young = new Map<Digest, Value>()
  #old = new Map<Digest, Value>()

  get(digest: Digest): Value | undefined {
    return this.#young.get(digest) ?? this.#old.get(digest)
  }

  set(digest: Digest, value: Value): void {
    this.#young.set(digest, value)
    if (this.#young.size < maxRemembered / 2) return
    this.#old = this.#young
    this.#young = new Map()
  }
}

function findingOfChild(
  child: Descriptor,
  parent: Digest,
  info: ObjectInfo | undefined,
): Finding | undefined {
  const { digest, type, size } = child
  const common = { severity: 'error', where: digest } as const
  if (info === undefined) {
    const message = `${type} ${digest} is missing: ${parent} refers to it`
    return { ...common, kind: 'missing-object', message, missing: child }
  }
  if (info.type === type && info.size === size) return undefined
  const expected = `a ${type} of ${size} bytes`
  const found = `a ${info.type} of ${info.size} bytes`
  const message = `object ${digest} is not what ${parent} says: expected ${expected}, found ${found}`
  return { ...common, kind: 'contradicted-object', message, expected, found }
}

type DecodedObject = {
  readonly totals: SubObjectTotals
  readonly children: () => Iterable<Descriptor>
  /** What a strict reader has against it. */
  readonly sloppiness?: InvalidObjectError
}

function decode(type: ObjectType, payload: Buffer): DecodedObject {
  try {
    return decodeAs(type, payload, 'strict')
  } catch (error) {
    if (!(error instanceof InvalidObjectError)) throw error
    return { ...decodeAs(type, payload, 'tolerant'), sloppiness: error }
  }
}

function decodeAs(
  type: ObjectType,
  payload: Buffer,
  strictness: Strictness,
): DecodedObject {
  switch (type) {
    case 'directory': {
      const directory = new DirectoryView(payload, strictness)
      return { totals: totalsOf(directory), children: () => directory.dependencies() }
    }
    case 'application': {
      const application = decodeApplication(payload, strictness)
      return {
        totals: applicationTotals(application),
        children: () => applicationDependencies(application),
      }
    }
    case 'header':
      decodeHeader(payload, strictness)
      return { totals: noSubObjects, children: () => [] }
    case 'file':
      return { totals: noSubObjects, children: () => [] }
    default:
      return type satisfies never
  }
}

function shown({ subObjectCount, subObjectsSize }: SubObjectTotals): string {
  return `${subObjectCount} objects of ${subObjectsSize} bytes`
}
