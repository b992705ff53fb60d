import { Readable } from 'node:stream'
import { ProtocolViolationError } from '../../errors.js'
import { type Descriptor, encodeDescriptor } from '../../object/descriptor.js'
import { type Digest, parseDigest } from '../../object/digest.js'
import type { TagName } from '../../object/tag-name.js'
import type { Repository } from '../../repository/repository.js'
import type { Bitmap } from '../../store/bitmap.js'
import { writePackStream } from '../../store/pack/pack-stream-writer.js'
import type { ProgressMeter } from '../progress-meter.js'
import { describeRoot } from './describe-root.js'
import { closureDifference, storedSource, wireSegmentBytes } from './difference.js'
import { encodeDigestRow } from './digest-row.js'
import type { HttpClient } from './http-client.js'
import { bytesType, jsonType, transferType } from './media-types.js'
import { decodeBits, pushHeadMembers, pushLimits, type TagMove } from './push-message.js'
import { encodeHead } from './transfer-head.js'

/** What to push. */
export type Push = {
  readonly application: Descriptor
  readonly tag: TagName
  readonly progress?: ProgressMeter
  readonly signal?: AbortSignal
  /** Milliseconds that the server may take to make everything durable. */
  readonly settleTimeoutMs: number
}

/** What a push sent. */
export type Sent = { readonly objects: number; readonly bytes: number }

/** What a server says when an upload is opened. */
type OpenedUpload = {
  readonly id: string
  /** The root is published there: nothing has to be sent. */
  readonly present: boolean
  /** Those of the candidates that are there whole. */
  readonly common: readonly Digest[]
  /** What the tag names; null for no such tag, undefined for who may not read it. */
  readonly tag: Digest | null | undefined
}

/**
 * Pushes an application in at most three requests: which roots are there, which objects
 * are missing, and these.
 *
 * The tag moves if it still names what it did when the push began. Repeating a push that
 * was cut off sends what did not arrive.
 */
export async function pushVersion2(
  client: HttpClient,
  repository: Repository,
  push: Push,
): Promise<Sent> {
  const { application, tag, progress, signal } = push
  progress?.begin(application)
  const pusher = new Pusher(client, repository, push)
  const opened = await pusher.open()
  const move: TagMove =
    opened.tag === undefined
      ? { name: tag }
      : { name: tag, expected: opened.tag ?? 'absent' }
  if (opened.present) {
    await pusher.setTag(move)
    progress?.settle()
    return { objects: 0, bytes: 0 }
  }
  const sent = await pusher.send(opened, move)
  signal?.throwIfAborted()
  progress?.settle()
  return sent
}

class Pusher {
  readonly #client: HttpClient
  readonly #repository: Repository
  readonly #push: Push
  #objects = 0
  #bytes = 0

  constructor(client: HttpClient, repository: Repository, push: Push) {
    this.#client = client
    this.#repository = repository
    this.#push = push
  }

  async open(): Promise<OpenedUpload> {
    const { application, tag, signal } = this.#push
    const request = {
      root: encodeDescriptor(application).toString('hex'),
      tag,
      candidates: await this.#candidates(),
    }
    const { body } = await this.#client.ask(
      {
        method: 'POST',
        path: '/v2/uploads',
        type: jsonType,
        body: Buffer.from(JSON.stringify(request)),
        signal,
        isRepeatable: true,
      },
      [200],
      pushLimits.openBytes,
    )
    return parseOpened(body, request.candidates)
  }

  /** Moves the tag to an application that is there. */
  async setTag({ name, expected }: TagMove): Promise<void> {
    const { application, signal, settleTimeoutMs } = this.#push
    const condition =
      expected === 'absent' || expected === undefined
        ? { 'if-none-match': '*' }
        : { 'if-match': `"${expected}"` }
    const body = { digest: application.digest, message: 'push' }
    await this.#client.ask(
      {
        method: 'PUT',
        path: `/v2/tags/${name}`,
        type: jsonType,
        headers: condition,
        body: Buffer.from(JSON.stringify(body)),
        signal,
        answerTimeoutMs: settleTimeoutMs,
      },
      [200, 201, 204],
      pushLimits.openBytes,
    )
  }

  async send(opened: OpenedUpload, move: TagMove): Promise<Sent> {
    const { application, signal, settleTimeoutMs } = this.#push
    const head = encodeHead(pushHeadMembers({ root: application, tag: move }))
    // The first question is asked before the transfer begins: it may have no answer.
    const missing = this.#missing(opened)
    const first = await missing.next()
    const rest = async function* (): AsyncGenerator<readonly Digest[]> {
      if (first.done !== true) yield first.value
      yield* missing
    }
    const source = storedSource(this.#repository.objects)
    const pack = writePackStream(this.#counted(rest()), source, {
      segmentBytes: wireSegmentBytes,
    })
    const body = async function* (): AsyncGenerator<Uint8Array> {
      yield head
      yield* pack
    }
    await this.#client.ask(
      {
        method: 'POST',
        path: `/v2/uploads/${opened.id}/packs`,
        type: transferType,
        body: Readable.from(body(), { objectMode: false }),
        signal,
        answerTimeoutMs: settleTimeoutMs,
      },
      [200],
      pushLimits.openBytes,
    )
    return { objects: this.#objects, bytes: this.#bytes }
  }

  /** Applications of this repository that the server may have. */
  async #candidates(): Promise<Digest[]> {
    const { application, tag } = this.#push
    const { tags, objects } = this.#repository
    const history = (await tags.history(tag)).flatMap(entry => entry.new ?? [])
    const others = (await tags.list()).map(({ descriptor }) => descriptor)
    const digests = new Set([...history, ...others].map(({ digest }) => digest))
    digests.delete(application.digest)
    const candidates = [...digests].slice(0, pushLimits.candidates)
    const present = await objects.has(candidates)
    return candidates.filter((_, index) => present.get(index))
  }

  /** The objects that the server lacks, children first, in batches. */
  async *#missing(opened: OpenedUpload): AsyncGenerator<readonly Digest[]> {
    const { application, signal } = this.#push
    const { objects } = this.#repository
    const held: Descriptor[] = []
    for (const digest of opened.common) {
      const root = await describeRoot(objects, digest)
      if (root !== undefined) held.push(root)
    }
    const lacking = closureDifference(objects, [application], { held, signal })
    let question: Digest[] = []
    for await (const batch of lacking) {
      question.push(...batch)
      if (question.length + batch.length <= pushLimits.queryDigests) continue
      yield await this.#ask(opened, question)
      question = []
    }
    if (question.length > 0) yield await this.#ask(opened, question)
  }

  async #ask({ id }: OpenedUpload, digests: readonly Digest[]): Promise<Digest[]> {
    const { signal } = this.#push
    const { body } = await this.#client.ask(
      {
        method: 'POST',
        path: `/v2/uploads/${id}/missing`,
        type: bytesType,
        body: encodeDigestRow(digests),
        signal,
        isRepeatable: true,
      },
      [200],
      Math.ceil(pushLimits.queryDigests / 8),
    )
    const missing: Bitmap = decodeBits(body, digests.length)
    return digests.filter((_, index) => missing.get(index))
  }

  async *#counted(
    batches: AsyncIterable<readonly Digest[]>,
  ): AsyncGenerator<readonly Digest[]> {
    const { progress } = this.#push
    const { objects } = this.#repository
    for await (const digests of batches) {
      for (let start = 0; start < digests.length; start += sendBatch) {
        const batch = digests.slice(start, start + sendBatch)
        const infos = await objects.stat(batch)
        yield batch
        for (const info of infos) {
          this.#objects += 1
          this.#bytes += info?.size ?? 0
          progress?.addObject()
          progress?.addBytes(info?.size ?? 0)
        }
      }
    }
  }
}

const sendBatch = 256

function parseOpened(body: Buffer, candidates: readonly Digest[]): OpenedUpload {
  const { id, present, common, tag } = Object(parseJson(body)) as Record<string, unknown>
  if (typeof id !== 'string' || !/^[0-9a-f]{1,64}$/.test(id)) throw unexpected('id')
  if (typeof present !== 'boolean') throw unexpected('present')
  if (!Array.isArray(common)) throw unexpected('common')
  const isTold = tag !== undefined && tag !== null
  if (isTold && typeof tag !== 'string') throw unexpected('tag')
  const held = new Set<unknown>(common)
  return {
    id,
    present,
    // Only what was offered: anything else would be pruned without being known here.
    common: candidates.filter(digest => held.has(digest)),
    tag: isTold ? parseDigest(tag) : tag,
  }
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch (error) {
    throw unexpected('JSON', error)
  }
}

function unexpected(what: string, cause?: unknown): ProtocolViolationError {
  return new ProtocolViolationError(
    `the server's answer has no proper ${what}`,
    { expected: what },
    { cause },
  )
}
