import { IncompleteClosureError, InvalidObjectError } from '../errors.js'
import type { Descriptor } from '../object/descriptor.js'
import { parseTagName, type TagName } from '../object/tag-name.js'
import type { Repository } from '../repository/repository.js'
import { type BundleHead, readBundle } from '../store/pack/bundle.js'
import { importPackStream } from '../store/pack/import-pack-stream.js'
import type { StreamedPart } from '../store/pack/pack-stream-reader.js'
import { loadZstd, type Zstd } from '../store/pack/zstd.js'
import { checkedClosure } from './bundle-closure.js'
import { KnownObjects } from './known-objects.js'

/** How a bundle is imported. */
export type ImportBundleOptions = {
  /** Names the bundle in errors. */
  readonly where: string
  /** Sets the tags that the bundle names, with this in front; without it none is set. */
  readonly tagPrefix?: string
  /** For the logs of tags. */
  readonly who?: string
  readonly message?: string
  readonly onProgress?: (progress: { objects: number; bytes: number }) => void
  readonly signal?: AbortSignal
}

/** What came out of a bundle. */
export type ImportedBundle = {
  readonly roots: readonly Descriptor[]
  /** The tags that were set. */
  readonly tags: readonly { readonly name: TagName; readonly descriptor: Descriptor }[]
  readonly objects: number
  readonly bytes: number
}

/**
 * Adds what a bundle holds to a repository.
 *
 * Every object is verified, and refers only to what stands in front of it, in its segment,
 * or in the repository. Nothing is visible before the whole bundle has been read and every
 * root's closure is complete; tags are set after that. On an error nothing is kept.
 *
 * Throws InvalidObjectError, CorruptObjectError, IncompleteClosureError,
 * ConnectionLostError when the bundle is cut off, InvalidTagNameError when the prefix makes
 * a name that no tag can have.
 */
export async function importBundle(
  source: AsyncIterable<Uint8Array>,
  repository: Repository,
  options: ImportBundleOptions,
): Promise<ImportedBundle> {
  const { where, signal } = options
  let codec: Promise<Zstd> | undefined
  const zstd = async (): Promise<Zstd> => (codec ??= loadZstd())
  const watched = signal === undefined ? {} : { signal }
  await using session = await repository.begin({
    purpose: 'pull',
    publishing: 'whole',
    ...watched,
  })
  const { head, parts } = await readBundle(source, {
    where,
    zstd,
    // Whoever commits verifies.
    verify: 'checksums',
  })
  const tags = tagsOf(head, options)
  const counted = { objects: 0, bytes: 0 }
  const known = new KnownObjects(session.objects, repository.objects)
  const counting = countParts(parts, counted, options)
  const checked = checkedClosure(counting, known, { where, zstd })
  await importPackStream(checked, session.objects, zstd)
  await checkRoots(head, known, where)
  await session.objects.publish(head.roots.map(({ digest }) => digest))
  for (const { name, descriptor } of tags) {
    await repository.tags.set(name, descriptor, {
      message: options.message ?? `import of ${where}`,
      ...(options.who === undefined ? {} : { who: options.who }),
      ...watched,
    })
  }
  return { roots: head.roots, tags, ...counted }
}

function tagsOf(
  { roots, tags }: BundleHead,
  { where, tagPrefix }: ImportBundleOptions,
): ImportedBundle['tags'] {
  if (tagPrefix === undefined) return []
  return tags.map(({ name, root }) => {
    const descriptor = roots[root]
    if (descriptor === undefined) throw new Error(`tag ${name} names no root`)
    if (descriptor.type === 'application') {
      return { name: parseTagName(`${tagPrefix}${name}`), descriptor }
    }
    throw new InvalidObjectError(
      `invalid bundle ${where}: tag ${name} names a ${descriptor.type}`,
      { where, tag: name },
    )
  })
}

async function* countParts(
  parts: AsyncIterable<StreamedPart>,
  counted: { objects: number; bytes: number },
  { onProgress, signal }: ImportBundleOptions,
): AsyncGenerator<StreamedPart> {
  for await (const part of parts) {
    signal?.throwIfAborted()
    yield part
    const records = part.kind === 'large' ? [part.record] : part.objects
    counted.objects += records.length
    for (const { size } of records) counted.bytes += size
    onProgress?.(counted)
  }
}

async function checkRoots(
  { roots }: BundleHead,
  known: KnownObjects,
  where: string,
): Promise<void> {
  await known.look(roots)
  for (const { digest, type } of roots) {
    if (known.has(digest)) continue
    throw new IncompleteClosureError(
      `invalid bundle ${where}: it lacks its root, ${type} ${digest}`,
      { where, digest },
    )
  }
}
