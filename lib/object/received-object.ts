import { InvalidObjectError } from '../errors.js'
import {
  applicationDependencies,
  applicationTotals,
  decodeApplication,
} from './application.js'
import type { Descriptor, SubObjectTotals } from './descriptor.js'
import { algorithmOf, type Digest } from './digest.js'
import { decodeDirectory, directoryDependencies, totalsOf } from './directory.js'
import { decodeHeader } from './header.js'
import type { ObjectType } from './object-type.js'
import type { Strictness } from './strictness.js'

/** Payload bytes of the largest header, directory or application that is accepted. */
export const maxMetadataBytes = 64 * 1024 * 1024

/** What an object refers to, in the order of format section 5 step 3; files: nothing. */
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

/**
 * Checks a received header, directory or application whose digest is already verified.
 *
 * It must be in its one strict form, refer only to digests of its own algorithm, and have
 * exactly the totals that `descriptor` announced. Returns its dependencies.
 */
export function parseReceivedObject(
  descriptor: Descriptor,
  payload: Uint8Array,
): Descriptor[] {
  const { dependencies, totals } = parseStrictly(descriptor.type, payload)
  checkOneAlgorithm(descriptor.digest, dependencies)
  if (
    totals.subObjectCount !== descriptor.subObjectCount ||
    totals.subObjectsSize !== descriptor.subObjectsSize
  ) {
    throw new InvalidObjectError(
      `${descriptor.type} ${descriptor.digest} has wrong totals: expected ` +
        `${descriptor.subObjectCount} and ${descriptor.subObjectsSize} as announced, ` +
        `found ${totals.subObjectCount} and ${totals.subObjectsSize}`,
      { digest: descriptor.digest, type: descriptor.type },
    )
  }
  return dependencies
}

/** Refuses references to digests of another algorithm than the referring object's own. */
export function checkOneAlgorithm(
  digest: Digest,
  dependencies: readonly Descriptor[],
): void {
  const own = algorithmOf(digest)
  for (const dependency of dependencies) {
    const found = algorithmOf(dependency.digest)
    if (found.id !== own.id) {
      throw new InvalidObjectError(
        `${digest} refers to a digest of another algorithm: expected ${own.name}, ` +
          `found ${found.name} in ${dependency.digest}`,
        { digest, expected: own.name, found: found.name },
      )
    }
  }
}

function parseStrictly(
  type: ObjectType,
  payload: Uint8Array,
): { dependencies: Descriptor[]; totals: SubObjectTotals } {
  switch (type) {
    case 'header':
      decodeHeader(payload, 'strict')
      return { dependencies: [], totals: { subObjectCount: 0, subObjectsSize: 0n } }
    case 'directory': {
      const directory = decodeDirectory(payload, 'strict')
      return {
        dependencies: directoryDependencies(directory),
        totals: totalsOf(directory),
      }
    }
    case 'application': {
      const application = decodeApplication(payload, 'strict')
      return {
        dependencies: applicationDependencies(application),
        totals: applicationTotals(application),
      }
    }
    case 'file':
      return { dependencies: [], totals: { subObjectCount: 0, subObjectsSize: 0n } }
    default:
      return type satisfies never
  }
}
