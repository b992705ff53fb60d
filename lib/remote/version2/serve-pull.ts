import { RefNotFoundError, TagNotFoundError, WrongObjectTypeError } from '../../errors.js'
import type { Descriptor } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import { findTagName } from '../../object/tag-name.js'
import type { Repository } from '../../repository/repository.js'
import type { ResolvedRef } from '../../repository/resolve-ref.js'
import type { ObjectReader } from '../../store/object-store.js'
import {
  plainSource,
  type StreamSource,
  writePackStream,
} from '../../store/pack/pack-stream-writer.js'
import { describeRoot } from './describe-root.js'
import { closureDifference, storedSource, wireSegmentBytes } from './difference.js'
import {
  type PullAnswer,
  type PullRequest,
  pullAnswerMembers,
  type TransferPlan,
} from './pull-message.js'
import { encodeHead } from './transfer-head.js'

/** How a pull is served. */
export type ServePullOptions = {
  readonly signal?: AbortSignal
  /** Told what goes out, and its plain payload bytes. */
  readonly onObjects?: (objects: number, bytes: number) => void
}

/**
 * Answers a pull: the head, then everything that the wants lead to and the haves do not,
 * children first, as it is stored here.
 *
 * What is wrong with the request is thrown before the first chunk: RefNotFoundError,
 * WrongObjectTypeError, IncompleteClosureError. Objects are not held against their
 * digests here: whoever receives them does that.
 */
export async function* servePull(
  repository: Repository,
  request: PullRequest,
  options: ServePullOptions = {},
): AsyncGenerator<Uint8Array> {
  const { objects } = repository
  const { signal, onObjects } = options
  const wanted = await resolveWants(repository, request.wants)
  const roots = wanted.map(({ root }) => root)
  const sequences = wanted.map(({ sequence }) => sequence)
  const haves = await findHaves(objects, request.haves)
  const digests = (): AsyncGenerator<readonly Digest[]> =>
    closureDifference(objects, roots, { held: haves, known: request.known, signal })
  const source = request.codecs.includes('zstd')
    ? storedSource(objects)
    : plainSource(objects)
  const answer: PullAnswer = {
    roots,
    sequences,
    haves: haves.map(({ digest }) => digest),
  }
  if (request.plan) {
    const plan = await countTransfer(digests(), objects, source)
    yield encodeHead(pullAnswerMembers({ ...answer, plan }))
    yield* writePackStream([], source)
    return
  }
  yield encodeHead(pullAnswerMembers(answer))
  const counted = async function* (): AsyncGenerator<readonly Digest[]> {
    for await (const batch of digests()) {
      const infos = onObjects === undefined ? [] : await objects.stat(batch)
      const bytes = infos.reduce((sum, info) => sum + (info?.size ?? 0), 0)
      onObjects?.(batch.length, bytes)
      yield batch
    }
  }
  yield* writePackStream(counted(), source, { segmentBytes: wireSegmentBytes })
}

type Want = { readonly root: Descriptor; readonly sequence: bigint | undefined }

async function resolveWants(
  repository: Repository,
  refs: readonly string[],
): Promise<Want[]> {
  const wants: Want[] = []
  for (const ref of refs) {
    const { digest, type, tag } = await resolveWant(repository, ref)
    if (type !== 'application') {
      throw new WrongObjectTypeError(
        `only applications can be pulled: expected application, found ${type} ${digest}`,
        { digest, expected: 'application', found: type },
      )
    }
    const root = await describeRoot(repository.objects, digest)
    if (root === undefined) throw new RefNotFoundError(`no ${ref}`, { ref })
    const [entry] = tag === undefined ? [] : await repository.tags.history(tag)
    wants.push({ root, sequence: entry?.sequence })
  }
  return wants
}

async function resolveWant(repository: Repository, ref: string): Promise<ResolvedRef> {
  try {
    return await repository.resolveRef(ref)
  } catch (error) {
    const isTag = error instanceof RefNotFoundError && findTagName(ref) !== undefined
    if (isTag)
      throw new TagNotFoundError(`no tag ${ref}`, { name: ref }, { cause: error })
    throw error
  }
}

/** Those haves that are here too: published, so whole. */
async function findHaves(
  objects: ObjectReader,
  haves: readonly Digest[],
): Promise<Descriptor[]> {
  const found: Descriptor[] = []
  for (const digest of haves) {
    const root = await describeRoot(objects, digest)
    if (root !== undefined) found.push(root)
  }
  return found
}

async function countTransfer(
  batches: AsyncIterable<readonly Digest[]>,
  reader: ObjectReader,
  source: StreamSource,
): Promise<TransferPlan> {
  const plan = { objects: 0, bytes: 0, storedBytes: 0 }
  for await (const digests of batches) {
    const infos = await reader.stat(digests)
    plan.objects += digests.length
    for (const info of infos) plan.bytes += info?.size ?? 0
    for (const size of await source.storedSizes(digests)) plan.storedBytes += size
  }
  return plan
}
