import { ObjectNotFoundError } from '../lib/errors.js'
import { applicationTotals } from '../lib/object/application.js'
import {
  type Descriptor,
  noSubObjects,
  type SubObjectTotals,
} from '../lib/object/descriptor.js'
import type { Digest } from '../lib/object/digest.js'
import { totalsOf } from '../lib/object/directory.js'
import type { ObjectType } from '../lib/object/object-type.js'
import type { Repository } from '../lib/repository/repository.js'
import type { ObjectReader } from '../lib/store/object-store.js'
import { getApplication, getDirectory } from '../lib/store/typed-object.js'

/** Resolves a REF to the whole descriptor of its object. */
export async function getRefDescriptor(
  repository: Repository,
  ref: string,
): Promise<Descriptor> {
  const { digest } = await repository.resolveRef(ref)
  return getDescriptor(repository.objects, digest)
}

/** Reads what is needed to describe an object; throws ObjectNotFoundError. */
export async function getDescriptor(
  reader: ObjectReader,
  digest: Digest,
): Promise<Descriptor> {
  const [info] = await reader.stat([digest])
  if (info === undefined) {
    throw new ObjectNotFoundError(`no object ${digest}`, { digest })
  }
  return { digest, ...info, ...(await readTotals(reader, digest, info.type)) }
}

async function readTotals(
  reader: ObjectReader,
  digest: Digest,
  type: ObjectType,
): Promise<SubObjectTotals> {
  switch (type) {
    case 'application':
      return applicationTotals(await getApplication(reader, digest))
    case 'directory':
      return totalsOf(await getDirectory(reader, digest))
    case 'file':
    case 'header':
      return noSubObjects
    default:
      return type satisfies never
  }
}
