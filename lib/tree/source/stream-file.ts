import type { ObjectLink } from '../../object/descriptor.js'
import type { StoreSession } from '../../store/object-store.js'
import type { StableFile } from './stable-file.js'

const chunkBytes = 1024 * 1024

/** How a large file is stored. */
export type StreamOptions = {
  /** Called after each chunk with the bytes read so far. */
  readonly onBytes?: (bytes: number) => void
  readonly signal?: AbortSignal | undefined
}

/**
 * Stores the content of an open file chunk by chunk.
 *
 * Throws SourceChangedError, and stores nothing, when the file changed meanwhile.
 */
export async function streamFile(
  file: StableFile,
  session: StoreSession,
  { onBytes, signal }: StreamOptions,
): Promise<ObjectLink> {
  const chunk = Buffer.allocUnsafeSlow(chunkBytes)
  await using writer = await session.stream({ type: 'file', size: file.size })
  let length: number
  do {
    signal?.throwIfAborted()
    length = file.read(chunk)
    await writer.write(chunk.subarray(0, length))
    onBytes?.(writer.size)
  } while (length === chunk.length)
  file.checkUnchanged()
  return await writer.commit()
}
