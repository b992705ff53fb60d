import { WrongObjectTypeError } from '../lib/errors.js'
import type { Digest } from '../lib/object/digest.js'
import type { Repository } from '../lib/repository/repository.js'

/** Resolves a REF that must name an application; throws WrongObjectTypeError. */
export async function resolveApplication(
  repository: Repository,
  ref: string,
): Promise<Digest> {
  const { digest, type } = await repository.resolveRef(ref)
  if (type === 'application') return digest
  throw new WrongObjectTypeError(
    `${ref} names no tree: expected an application, found a ${type}`,
    { ref, expected: 'application', found: type },
  )
}
