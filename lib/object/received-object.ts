import { InvalidObjectError } from '../errors.js'
import {
  applicationDependencies,
  decodeApplication,
  exactApplicationTotals,
} from './application.js'
import type { Descriptor } from './descriptor.js'
import { algorithmOf, type Digest } from './digest.js'
import {
  addDependencies,
  decodeDirectory,
  directoryDependencies,
  type ExactTotals,
  TotalsSum,
} from './directory.js'
import { DirectoryView } from './directory-view.js'
import { entriesInStep, walkDirectory } from './directory-walk.js'
import { decodeHeader } from './header.js'
import type { Steps } from './in-steps.js'
import type { ObjectType } from './object-type.js'
import type { Strictness } from './strictness.js'

/** Payload bytes of the largest header, directory or application that is accepted. */
export const maxMetadataBytes = 64 * 1024 * 1024

const nothing: ExactTotals = { count: 0n, size: 0n }

/** What an object refers to, in the order of format section 4; files: nothing. */
export function dependenciesOf(
  type: ObjectType,
  payload: Uint8Array,
  strictness: Strictness,
): Descriptor[] {
  if (type === 'directory')
    return directoryDependencies(decodeDirectory(payload, strictness))
  if (type === 'application') {
    return applicationDependencies(decodeApplication(payload, strictness))
  }
  return []
}

/** As dependenciesOf; those of a directory are read from the payload as they are asked for. */
export function walkDependencies(
  type: ObjectType,
  payload: Uint8Array,
  strictness: Strictness,
): Iterable<Descriptor> {
  return type === 'directory'
    ? new DirectoryView(payload, strictness).dependencies()
    : dependenciesOf(type, payload, strictness)
}

/**
 * Checks a received header, directory or application whose digest is already verified.
 *
 * It must have the announced size, be in its one strict form, refer only to digests of its
 * own algorithm, and have exactly the totals that `descriptor` announced. Returns its
 * dependencies, read from the payload as they are asked for: a large directory would take
 * ten times its bytes. Throws InvalidObjectError.
 */
export function* parseReceivedObject(
  descriptor: Descriptor,
  payload: Uint8Array,
): Steps<Iterable<Descriptor>> {
  const { digest, type, size, subObjectCount, subObjectsSize } = descriptor
  if (payload.length !== size) {
    throw new InvalidObjectError(
      `${type} ${digest} has another size: expected ${size} bytes, found ${payload.length}`,
      { digest, type, expected: size, found: payload.length },
    )
  }
  const { dependencies, totals } = yield* parseStrictly(descriptor, payload)
  if (totals.count !== BigInt(subObjectCount) || totals.size !== subObjectsSize) {
    throw new InvalidObjectError(
      `${type} ${digest} has wrong totals: expected ${subObjectCount} references and ` +
        `${subObjectsSize} bytes as announced, found ${totals.count} and ${totals.size}`,
      { digest, type },
    )
  }
  return dependencies
}

/** Refuses references to digests of another algorithm than the referring object's own. */
export function checkOneAlgorithm(
  digest: Digest,
  dependencies: Iterable<Descriptor>,
): void {
  const own = digest.slice(0, 2)
  for (const dependency of dependencies) {
    if (!dependency.digest.startsWith(own)) {
      const expected = algorithmOf(digest).name
      const found = algorithmOf(dependency.digest).name
      throw new InvalidObjectError(
        `${digest} refers to a digest of another algorithm: expected ${expected}, ` +
          `found ${found} in ${dependency.digest}`,
        { digest, expected, found },
      )
    }
  }
}

/**
 * Checks a directory that is in its one strict form and refers only to digests of its own
 * algorithm; tells its totals. Throws InvalidObjectError.
 */
export function* checkDirectory(digest: Digest, payload: Uint8Array): Steps<ExactTotals> {
  const totals = new TotalsSum()
  const dependencies: Descriptor[] = []
  let count = 0
  for (const { entry } of walkDirectory(payload, 'strict')) {
    dependencies.length = 0
    addDependencies(entry, dependencies)
    checkOneAlgorithm(digest, dependencies)
    totals.add(entry)
    count += 1
    if (count % entriesInStep === 0) yield
  }
  return totals.exact()
}

function* dependenciesOfDirectory(payload: Uint8Array): Generator<Descriptor, void> {
  const dependencies: Descriptor[] = []
  for (const { entry } of walkDirectory(payload, 'strict')) {
    dependencies.length = 0
    addDependencies(entry, dependencies)
    yield* dependencies
  }
}

function* parseStrictly(
  { digest, type }: Descriptor,
  payload: Uint8Array,
): Steps<{ dependencies: Iterable<Descriptor>; totals: ExactTotals }> {
  switch (type) {
    case 'header':
      decodeHeader(payload, 'strict')
      return { dependencies: [], totals: nothing }
    case 'directory': {
      const totals = yield* checkDirectory(digest, payload)
      return { dependencies: dependenciesOfDirectory(payload), totals }
    }
    case 'application': {
      const application = decodeApplication(payload, 'strict')
      const dependencies = applicationDependencies(application)
      checkOneAlgorithm(digest, dependencies)
      return { dependencies, totals: exactApplicationTotals(application) }
    }
    case 'file':
      return { dependencies: [], totals: nothing }
    default:
      return type satisfies never
  }
}
