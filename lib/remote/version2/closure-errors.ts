import { IncompleteClosureError, InvalidObjectError } from '../../errors.js'
import { type Descriptor, sameDescriptor } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import type { ObjectReader } from '../../store/object-store.js'
import { describeRoot } from './describe-root.js'

/** The error for an object that neither came nor is there. */
export function incomplete(
  where: string,
  { digest, type }: Descriptor,
  parent?: Digest,
): IncompleteClosureError {
  const source = parent === undefined ? 'it did not come' : `${parent} refers to it`
  return new IncompleteClosureError(`${where}: ${type} ${digest} is missing: ${source}`, {
    digest,
    type,
    parent,
  })
}

/**
 * Checks that what was published under a root's digest is what its descriptor says;
 * throws InvalidObjectError, IncompleteClosureError.
 */
export async function checkPublishedRoot(
  published: ObjectReader,
  root: Descriptor,
  where: string,
): Promise<void> {
  const found = await describeRoot(published, root.digest)
  if (found === undefined) throw incomplete(where, root)
  if (sameDescriptor(found, root)) return
  throw new InvalidObjectError(
    `${where}: ${root.type} ${root.digest} is not what its descriptor says`,
    { digest: root.digest, type: root.type },
  )
}
