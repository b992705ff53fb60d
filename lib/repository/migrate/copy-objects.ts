import { CorruptObjectError } from '../../errors.js'
import { algorithmOf, type Digest } from '../../object/digest.js'
import type { ObjectInfo, ObjectReader, StoreSession } from '../../store/object-store.js'

// Larger ones are never whole in memory.
const wholeBytes = 256 * 1024
const batchObjects = 256
const batchBytes = 8 * 1024 * 1024

/** Tells how much is done. */
export type CopyProgress = (done: { objects: number; bytes: number }) => void

/** Copies those objects that the session does not have, each verified as it is read. */
export async function copyMissing(
  from: ObjectReader,
  session: StoreSession,
  digests: readonly Digest[],
  onCopied: CopyProgress = () => undefined,
): Promise<void> {
  const present = await session.has(digests)
  const missing = digests.filter((_, index) => !present.get(index))
  for await (const objects of batchesOf(from, missing)) {
    for (const { digest, type, size } of objects) {
      if (type !== 'file' || size <= wholeBytes) continue
      await using writer = await session.stream({
        type,
        size,
        algorithm: algorithmOf(digest),
      })
      for await (const chunk of await from.open(digest)) await writer.write(chunk)
      await writer.commit()
    }
    const small = objects.filter(
      ({ type, size }) => type !== 'file' || size <= wholeBytes,
    )
    const whole = await from.read(small.map(({ digest }) => digest))
    await session.put(
      whole.map(({ digest, type, payload }) => ({
        type,
        payload,
        algorithm: algorithmOf(digest),
      })),
    )
    onCopied(tallied(objects))
  }
}

/** Reads objects to their end; throws CorruptObjectError, ObjectNotFoundError. */
export async function verifyObjects(
  reader: ObjectReader,
  digests: readonly Digest[],
  onVerified: CopyProgress = () => undefined,
): Promise<void> {
  for await (const objects of batchesOf(reader, digests)) {
    const small = objects.filter(({ size }) => size <= wholeBytes)
    await reader.read(small.map(({ digest }) => digest))
    for (const { digest, size } of objects) {
      if (size <= wholeBytes) continue
      let read = 0
      for await (const chunk of await reader.open(digest)) read += chunk.length
      if (read !== size) {
        throw new CorruptObjectError(`object ${digest} has ${read} of ${size} bytes`, {
          digest,
        })
      }
    }
    onVerified(tallied(objects))
  }
}

type Described = ObjectInfo & { readonly digest: Digest }

function tallied(objects: readonly Described[]): { objects: number; bytes: number } {
  const bytes = objects.reduce((sum, { size }) => sum + size, 0)
  return { objects: objects.length, bytes }
}

/** So many at a time as may be whole in memory. */
async function* batchesOf(
  reader: ObjectReader,
  digests: readonly Digest[],
): AsyncGenerator<readonly Described[]> {
  let batch: Described[] = []
  let bytes = 0
  for (let start = 0; start < digests.length; start += batchObjects) {
    const part = digests.slice(start, start + batchObjects)
    const infos = await reader.stat(part)
    for (const [index, digest] of part.entries()) {
      const info = infos[index]
      // It is listed, so what lies there is damaged: reading it says how.
      if (info === undefined) await reader.read([digest])
      else {
        batch.push({ digest, ...info })
        bytes += info.size
      }
    }
    if (batch.length < batchObjects && bytes < batchBytes) continue
    yield batch
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield batch
}
