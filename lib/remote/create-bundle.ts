import { walkClosure } from '../closure/closure-walk.js'
import { WrongObjectTypeError } from '../errors.js'
import type { Descriptor } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import type { TagName } from '../object/tag-name.js'
import { describeObject } from '../repository/describe-object.js'
import { newObjectMemory } from '../repository/object-memory.js'
import type { Repository } from '../repository/repository.js'
import type { ObjectStore } from '../store/object-store.js'
import { type BundleHead, writeBundle } from '../store/pack/bundle.js'
import { PackStore } from '../store/pack/pack-store.js'
import { plainSource, type StreamSource } from '../store/pack/pack-stream-writer.js'
import { verifiedSource } from '../store/pack/verified-source.js'

// So few at a time that those which are handed over whole take some MiB.
const batchObjects = 128

/** How a bundle is made. */
export type CreateBundleOptions = {
  readonly onProgress?: (progress: { objects: number; bytes: number }) => void
  readonly signal?: AbortSignal
}

/** A bundle that is about to be written. */
export type NewBundle = {
  readonly head: BundleHead
  /** The bytes of the bundle; throws when an object is missing or damaged. */
  readonly bytes: AsyncIterable<Uint8Array>
}

/**
 * Makes a bundle of applications and everything below them; those that are named by a tag
 * take its name along.
 *
 * Every object is verified while it is written, and goes in the form in which it is
 * stored. Throws WrongObjectTypeError for anything but applications, and what
 * Repository.resolveRef throws.
 */
export async function createBundle(
  repository: Repository,
  refs: readonly string[],
  options: CreateBundleOptions = {},
): Promise<NewBundle> {
  const head = await headOf(repository, refs)
  const batches = closureOf(repository, head.roots, options)
  return { head, bytes: writeBundle(head, batches, sourceOf(repository.objects)) }
}

async function headOf(
  repository: Repository,
  refs: readonly string[],
): Promise<BundleHead> {
  const roots: Descriptor[] = []
  const tags = new Map<TagName, number>()
  for (const ref of refs) {
    const { digest, type, tag } = await repository.resolveRef(ref)
    if (type !== 'application') {
      throw new WrongObjectTypeError(
        `${ref} cannot be bundled: expected an application, found a ${type}`,
        { ref, expected: 'application', found: type },
      )
    }
    let root = roots.findIndex(one => one.digest === digest)
    if (root < 0) root = roots.push(await describeObject(repository.objects, digest)) - 1
    if (tag === ref) tags.set(tag, root)
  }
  return { roots, tags: [...tags].map(([name, root]) => ({ name, root })) }
}

async function* closureOf(
  repository: Repository,
  roots: readonly Descriptor[],
  { onProgress, signal }: CreateBundleOptions,
): AsyncGenerator<readonly Digest[]> {
  const done = { objects: 0, bytes: 0 }
  const walk = walkClosure(repository.objects, roots, {
    order: 'children-first',
    memory: await newObjectMemory(repository),
    ...(signal === undefined ? {} : { signal }),
  })
  for await (const batch of walk) {
    for (let start = 0; start < batch.length; start += batchObjects) {
      signal?.throwIfAborted()
      const part = batch.slice(start, start + batchObjects)
      yield part.map(({ digest }) => digest)
      done.objects += part.length
      for (const { size } of part) done.bytes += size
      onProgress?.(done)
    }
  }
}

function sourceOf(objects: ObjectStore): StreamSource {
  if (!(objects instanceof PackStore)) return plainSource(objects)
  return verifiedSource(objects, async () => objects.codec())
}
