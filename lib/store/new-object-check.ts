import {
  applicationDependencies,
  applicationTotals,
  decodeApplication,
} from '../object/application.js'
import type { Digest } from '../object/digest.js'
import { checkedTotals } from '../object/directory.js'
import { decodeHeader } from '../object/header.js'
import { runAtOnce, type Steps } from '../object/in-steps.js'
import type { ObjectType } from '../object/object-type.js'
import { checkDirectory, checkOneAlgorithm } from '../object/received-object.js'

/**
 * Checks an object that is about to be stored.
 *
 * A header, directory or application must be in its one strict form and refer only to
 * digests of its own algorithm (InvalidObjectError), with totals that fit their fields
 * (NotRepresentableError).
 */
export function checkNewObject(
  type: ObjectType,
  digest: Digest,
  payload: Uint8Array,
): void {
  runAtOnce(checkNewObjectInSteps(type, digest, payload))
}

/** As checkNewObject, in steps. */
export function* checkNewObjectInSteps(
  type: ObjectType,
  digest: Digest,
  payload: Uint8Array,
): Steps<void> {
  switch (type) {
    case 'file':
      return
    case 'header':
      decodeHeader(payload, 'strict')
      return
    case 'directory': {
      const { count, size } = yield* checkDirectory(digest, payload)
      checkedTotals(count, size)
      return
    }
    case 'application': {
      const application = decodeApplication(payload, 'strict')
      checkOneAlgorithm(digest, applicationDependencies(application))
      applicationTotals(application)
      return
    }
    default:
      throw new Error(`unknown object type ${String(type satisfies never)}`)
  }
}
