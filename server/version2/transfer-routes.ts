import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  AccessRefusedError,
  LockBusyError,
  ProtocolViolationError,
} from '../../lib/errors.js'
import { type Descriptor, decodeDescriptor } from '../../lib/object/descriptor.js'
import { type Digest, parseDigest } from '../../lib/object/digest.js'
import { parseTagName } from '../../lib/object/tag-name.js'
import { decodeDigestRow } from '../../lib/remote/version2/digest-row.js'
import {
  bytesType,
  cborType,
  transferType,
} from '../../lib/remote/version2/media-types.js'
import { decodePullRequest, pullLimits } from '../../lib/remote/version2/pull-message.js'
import { encodeBits, pushLimits } from '../../lib/remote/version2/push-message.js'
import { servePull } from '../../lib/remote/version2/serve-pull.js'
import { openNamed, type Version2Context, type Version2Handler } from './context.js'
import { bodyOf, expectType, readBody, readJson } from './request-body.js'

/** `POST /v2/pull`: what a client lacks, in one answer. */
export const pull: Version2Handler = async (context, exchange) => {
  const { request, response, log } = exchange
  expectType(request, cborType)
  const wanted = decodePullRequest(await readBody(request, pullLimits.requestBytes))
  const repository = await openNamed(context, exchange)
  using place = takePlace(context)
  const sent = { objects: 0, bytes: 0 }
  const stream = servePull(repository, wanted, {
    signal: place.signal,
    onObjects: (objects, bytes) => {
      sent.objects += objects
      sent.bytes += bytes
      log.add(sent)
    },
  })
  // What is wrong with the request shows before the first chunk, while it can be told.
  const first = await stream.next()
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    if (first.done !== true) yield first.value
    yield* stream
  }
  response.status(200).type(transferType).set('Cache-Control', 'no-store')
  await pipeline(Readable.from(chunks(), { objectMode: false }), response)
}

/** `POST /v2/uploads`: opens the upload of a root. */
export const openUpload: Version2Handler = async (context, exchange) => {
  const { request, response, principal } = exchange
  checkPush(context)
  const body = await readJson(request, pushLimits.openBytes)
  const root = rootOf(body['root'])
  const candidates = digestsOf(body['candidates'])
  const name = body['tag']
  const tag = typeof name === 'string' ? parseTagName(name) : undefined
  await using used = await context.shelf.use(exchange.repositoryPath)
  const { repository } = used
  const present = await repository.objects.has([root.digest, ...candidates])
  const isPresent = present.get(0)
  const upload = isPresent
    ? undefined
    : await context.uploads.open(repository, { principal, root })
  const current = tag === undefined ? undefined : await repository.tags.find(tag)
  response.set('Cache-Control', 'no-store').json({
    id: upload?.id ?? '0',
    present: isPresent,
    common: candidates.filter((_, index) => present.get(index + 1)),
    tag: current?.digest ?? null,
  })
}

/** `POST /v2/uploads/ID/missing`: which of many objects have to be sent. */
export const askMissing: Version2Handler = async (context, exchange) => {
  const { request, response, principal, rest } = exchange
  checkPush(context)
  expectType(request, bytesType)
  const row = await readBody(request, pushLimits.queryDigests * maxDigestBytes)
  const digests = decodeDigestRow(row, pushLimits.queryDigests)
  const repository = await openNamed(context, exchange)
  const upload = await context.uploads.find(repository, idOf(rest), principal)
  const missing = await upload.missing(digests)
  response.type(bytesType).set('Cache-Control', 'no-store').send(encodeBits(missing))
}

/** `POST /v2/uploads/ID/packs`: the objects; then the tag moves. */
export const receivePack: Version2Handler = async (context, exchange) => {
  const { request, response, log, principal, rest } = exchange
  checkPush(context)
  expectType(request, transferType)
  await using used = await context.shelf.use(exchange.repositoryPath)
  using place = takePlace(context)
  const upload = await context.uploads.find(used.repository, idOf(rest), principal)
  const { root, tag, objects, bytes } = await upload.finish(bodyOf(request), {
    who: log.peer,
    signal: place.signal,
    cutOff: () => void request.destroy(),
  })
  log.add({ objects, bytes })
  response.json({ digest: root.digest, ...(tag && { tag: tag.name }), objects, bytes })
}

const maxDigestBytes = 65

function checkPush({ refusal }: Version2Context): void {
  const reason = refusal()
  if (reason !== undefined) throw new AccessRefusedError(reason)
}

function takePlace({ sessions, isClosing }: Version2Context) {
  const place = isClosing() ? undefined : sessions.begin()
  if (place === undefined) throw new LockBusyError('too many transfers')
  return place
}

function idOf([, id]: readonly Buffer[]): string {
  return id?.toString('latin1') ?? ''
}

function rootOf(value: unknown): Descriptor {
  if (typeof value === 'string' && /^([0-9a-f]{2})+$/.test(value)) {
    return decodeDescriptor(Buffer.from(value, 'hex'))
  }
  throw new ProtocolViolationError('expected the root as a descriptor in hex')
}

function digestsOf(value: unknown): Digest[] {
  if (value === undefined) return []
  if (!Array.isArray(value) || value.length > pushLimits.candidates) {
    throw new ProtocolViolationError(
      `expected at most ${pushLimits.candidates} candidates`,
      { limit: pushLimits.candidates },
    )
  }
  return value.map((digest: unknown) => parseDigest(String(digest)))
}
