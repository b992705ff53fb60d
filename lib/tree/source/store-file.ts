import { SourceUnreadableError } from '../../errors.js'
import { type Descriptor, leafDescriptor } from '../../object/descriptor.js'
import type { StoreSession } from '../../store/object-store.js'
import { type SourcePlace, showPlace } from './source-place.js'
import { resolveRoot } from './source-root.js'
import { look, StableFile } from './stable-file.js'
import { retryLongWhileChanging } from './stable-retry.js'
import { type StreamOptions, streamFile } from './stream-file.js'

/**
 * Stores the content of one regular file; a path that is a link stands for its target.
 *
 * Throws SourceUnreadableError for anything else, which is not opened, and
 * SourceChangedError for a file that does not hold still.
 */
export async function storeFile(
  source: string | Buffer,
  session: StoreSession,
  options: StreamOptions = {},
): Promise<Descriptor> {
  const path = resolveRoot(Buffer.from(source))
  const place = { folder: undefined, name: Buffer.from(source), path }
  const link = await retryLongWhileChanging(async () => {
    using file = openRegular(place)
    return await streamFile(file, session, options)
  })
  return leafDescriptor('file', link)
}

function openRegular(place: SourcePlace): StableFile {
  const seen = look(place)
  if (seen.isFile()) return new StableFile(place, seen)
  const path = showPlace(place)
  throw new SourceUnreadableError(
    `cannot store ${path}: expected a regular file, found something else`,
    { path },
  )
}
