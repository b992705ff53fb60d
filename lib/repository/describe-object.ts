import { ObjectNotFoundError } from '../errors.js'
import { applicationTotals } from '../object/application.js'
import { type Descriptor, noSubObjects } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import { totalsOf } from '../object/directory.js'
import type { ObjectReader } from '../store/object-store.js'
import { getApplication, viewDirectory } from '../store/typed-object.js'

/**
 * Describes an object as a reference to it would; throws ObjectNotFoundError,
 * CorruptObjectError, InvalidObjectError.
 */
export async function describeObject(
  objects: ObjectReader,
  digest: Digest,
): Promise<Descriptor> {
  const [info] = await objects.stat([digest])
  if (info === undefined) throw new ObjectNotFoundError(`no object ${digest}`, { digest })
  const totals =
    info.type === 'application'
      ? applicationTotals(await getApplication(objects, digest))
      : info.type === 'directory'
        ? totalsOf(await viewDirectory(objects, digest))
        : noSubObjects
  return { digest, size: info.size, type: info.type, ...totals }
}
