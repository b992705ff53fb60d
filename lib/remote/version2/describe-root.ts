import { applicationTotals } from '../../object/application.js'
import { type Descriptor, noSubObjects } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import { totalsOf } from '../../object/directory.js'
import type { ObjectInfo, ObjectReader } from '../../store/object-store.js'
import { getApplication, getDirectory } from '../../store/typed-object.js'

/** The descriptor of an object that is here; undefined when it is not. */
export async function describeRoot(
  objects: ObjectReader,
  digest: Digest,
): Promise<Descriptor | undefined> {
  const [info] = await objects.stat([digest])
  if (info === undefined) return undefined
  return { digest, ...info, ...(await totalsBelow(objects, digest, info)) }
}

async function totalsBelow(objects: ObjectReader, digest: Digest, { type }: ObjectInfo) {
  if (type === 'application') {
    return applicationTotals(await getApplication(objects, digest))
  }
  if (type === 'directory') return totalsOf(await getDirectory(objects, digest))
  return noSubObjects
}
