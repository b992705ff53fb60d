import { createHash } from 'node:crypto'
import { IncompleteClosureError, WrongObjectTypeError } from '../../errors.js'
import type { Descriptor } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import { parseTagName } from '../../object/tag-name.js'
import type { Repository } from '../../repository/repository.js'
import type { StoreSession } from '../../store/object-store.js'
import { findLeftPacks } from '../../store/pack/left-packs.js'
import { StreamBytes } from '../../store/pack/stream-bytes.js'
import { loadZstd, type Zstd } from '../../store/pack/zstd.js'
import type { PullOptions, PullResult } from '../pull.js'
import type { ReceiveResult } from '../receive-objects.js'
import { adoptLeft } from './adopt-left.js'
import { checkPublishedRoot } from './closure-errors.js'
import type { HttpClient } from './http-client.js'
import { cborType } from './media-types.js'
import {
  decodePullAnswer,
  encodePullRequest,
  type PullAnswer,
  type PullRequest,
  pullLimits,
} from './pull-message.js'
import { PackReceiver } from './receive-pack.js'
import { takeHead } from './transfer-head.js'

type Received = ReceiveResult & { readonly root: Descriptor }

/**
 * Fetches the application that a tag of the remote names in one request, and tags it here.
 *
 * What came before a connection was lost is kept for a day, and only the rest is asked
 * for when the pull is repeated. The tag moves last. Throws TagNotFoundError,
 * RemoteRefusedError, ConnectionLostError, TimedOutError, and what TagStore throws.
 */
export async function pullVersion2(
  client: HttpClient,
  repository: Repository,
  options: PullOptions,
): Promise<PullResult> {
  const { tag, as = tag, expected, who, wait, signal } = options
  const name = parseTagName(as)
  const watched = signal === undefined ? {} : { signal }
  const locking = { ...watched, ...(wait === undefined ? {} : { wait }) }
  const key = createHash('sha256').update(`${client.url.href}\n${tag}`).digest('hex')
  const canKeep = repository.config.layout === 'pack'
  using kept = canKeep
    ? await repository.kept.claim('pull', key, { make: true })
    : undefined
  const { root, ...received } = await receive(client, repository, {
    ...options,
    locking,
    keepIn: kept?.path,
  })
  await repository.tags.set(name, root, {
    message: options.message ?? `pull of ${tag} from ${client.url.href}`,
    ...locking,
    ...(expected === undefined ? {} : { expected }),
    ...(who === undefined ? {} : { who }),
  })
  await kept?.remove()
  return { tag: name, application: root, upToDate: received.objects === 0, ...received }
}

type ReceiveOptions = PullOptions & {
  readonly locking: Pick<PullOptions, 'wait' | 'signal'>
  readonly keepIn: string | undefined
}

async function receive(
  client: HttpClient,
  repository: Repository,
  options: ReceiveOptions,
): Promise<Received> {
  const { keepIn, locking, limits, progress, tag } = options
  let loading: Promise<Zstd> | undefined
  const zstd = async (): Promise<Zstd> => (loading ??= loadZstd())
  const left = keepIn === undefined ? undefined : await findLeftPacks(keepIn)
  await using session = await repository.begin({
    purpose: 'pull',
    publishing: 'gradual',
    ...locking,
    ...(keepIn && { keepIn }),
  })
  const { objects: published } = repository
  const receiver = new PackReceiver(session.objects, {
    published,
    where: `${tag} from ${client.url.href}`,
    zstd,
    ...(progress && { progress }),
    ...(limits && { limits }),
  })
  const maximum = pullLimits.knownObjects
  const known = left ? await adoptLeft(left, receiver, { published, zstd, maximum }) : []
  const puller = new Puller(client, repository, {
    ...options,
    session: session.objects,
    receiver,
  })
  try {
    return await puller.pull({ haves: await puller.haves(), known })
  } catch (error) {
    // What is here may be damaged, or collected since: then all of it is asked for.
    if (!(error instanceof IncompleteClosureError)) throw error
    return await puller.pull({ haves: [], known: [] })
  }
}

type PullerOptions = PullOptions & {
  readonly session: StoreSession
  readonly receiver: PackReceiver
}

class Puller {
  readonly #client: HttpClient
  readonly #repository: Repository
  readonly #options: PullerOptions

  constructor(client: HttpClient, repository: Repository, options: PullerOptions) {
    this.#client = client
    this.#repository = repository
    this.#options = options
  }

  async pull({ haves, known }: Pick<PullRequest, 'haves' | 'known'>): Promise<Received> {
    const { session, receiver, tag, signal, progress } = this.#options
    const request = {
      wants: [tag],
      haves,
      known,
      codecs: ['zstd'] as const,
      plan: false,
    }
    using answer = await this.#client.send(
      {
        method: 'POST',
        path: '/v2/pull',
        type: cborType,
        body: encodePullRequest(request),
        signal,
      },
      [200],
    )
    const where = `${tag} from ${this.#client.url.href}`
    const bytes = new StreamBytes(answer.body, where)
    const root = rootOf(decodePullAnswer(await takeHead(bytes, where), where), tag)
    progress?.begin(root)
    await receiver.receive(bytes)
    progress?.settle()
    await session.publish([root.digest])
    await checkPublishedRoot(this.#repository.objects, root, where)
    return { root, ...receiver.result }
  }

  /** Applications that are here whole: those that tags name, and what this tag named. */
  async haves(): Promise<Digest[]> {
    const { tags, objects } = this.#repository
    const as = parseTagName(this.#options.as ?? this.#options.tag)
    const history = (await tags.history(as)).flatMap(entry => entry.new ?? [])
    const others = (await tags.list()).map(({ descriptor }) => descriptor)
    const digests = new Set([...history, ...others].map(({ digest }) => digest))
    const candidates = [...digests].slice(0, pullLimits.haves)
    const present = await objects.has(candidates)
    return candidates.filter((_, index) => present.get(index))
  }
}

function rootOf({ roots: [root] }: PullAnswer, tag: string): Descriptor {
  if (root?.type === 'application') return root
  const found = root?.type ?? 'nothing'
  throw new WrongObjectTypeError(
    `tag "${tag}" names no application: found ${found} ${root?.digest ?? ''}`,
    { tag, expected: 'application', found },
  )
}
