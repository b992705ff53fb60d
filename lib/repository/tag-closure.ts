import {
  IncompleteClosureError,
  InvalidObjectError,
  WrongObjectTypeError,
} from '../errors.js'
import { applicationDependencies, applicationTotals } from '../object/application.js'
import { type Descriptor, sameDescriptor } from '../object/descriptor.js'
import type { ObjectReader } from '../store/object-store.js'
import { getApplication } from '../store/typed-object.js'

/**
 * Checks that a descriptor may become a tag: it describes an application that is there,
 * exactly as it is, and so are the two objects that it refers to. What lies below those
 * is there too, since children are published before parents.
 *
 * Throws WrongObjectTypeError, IncompleteClosureError, InvalidObjectError.
 */
export async function checkTaggable(
  objects: ObjectReader,
  descriptor: Descriptor,
): Promise<void> {
  const { digest, type } = descriptor
  if (type !== 'application') {
    throw new WrongObjectTypeError(
      `only applications can be tagged: expected application, found ${type} ${digest}`,
      { digest, expected: 'application', found: type },
    )
  }
  objects.refresh?.()
  const [info] = await objects.stat([digest])
  if (info === undefined) throw incomplete(descriptor, descriptor)
  const application = await getApplication(objects, digest)
  const found = { digest, type, size: info.size, ...applicationTotals(application) }
  if (!sameDescriptor(descriptor, found)) {
    throw new InvalidObjectError(
      `descriptor of ${digest} is wrong: expected ${summary(found)}, ` +
        `found ${summary(descriptor)}`,
      { digest, expected: summary(found), found: summary(descriptor) },
    )
  }
  const dependencies = applicationDependencies(application)
  const present = await objects.has(dependencies.map(dependency => dependency.digest))
  for (const [index, dependency] of dependencies.entries()) {
    if (!present.get(index)) throw incomplete(descriptor, dependency)
  }
}

function incomplete(root: Descriptor, missing: Descriptor): IncompleteClosureError {
  return new IncompleteClosureError(
    `cannot tag ${root.digest}: ${missing.type} ${missing.digest} is not in the repository`,
    { digest: root.digest, missing: missing.digest },
  )
}

function summary({ size, subObjectCount, subObjectsSize }: Descriptor): string {
  return `size ${size}, totals ${subObjectCount} and ${subObjectsSize}`
}
