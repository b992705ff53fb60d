import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ProtocolViolationError } from '../../lib/errors.js'
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
import type { Upload, UploadOwner } from '../../lib/remote/version2/upload.js'
import type { Repository } from '../../lib/repository/repository.js'
import { checkFreeSpace } from '../free-space.js'
import { auditOrigin, recordMove } from './audited-change.js'
import {
  may,
  openNamed,
  type Version2Context,
  type Version2Exchange,
  type Version2Handler,
  whoOf,
} from './context.js'
import { bodyOf, expectType, readBody, readJson } from './request-body.js'
import { paced, takePlace } from './transfer-place.js'

/** `POST /v2/pull`: what a client lacks, in one answer. */
export const pull: Version2Handler = async (context, exchange) => {
  const { request, response, log } = exchange
  expectType(request, cborType)
  using place = takePlace(context, exchange, 'pull')
  using lease = context.memory.open()
  const limit = pullLimits.requestBytes
  const wanted = decodePullRequest(await readBody(context, request, { limit, lease }))
  const repository = await openNamed(context, exchange)
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
  const body = Readable.from(paced(chunks(), place), { objectMode: false })
  await pipeline(body, response)
}

/** `POST /v2/uploads`: opens the upload of a root. */
export const openUpload: Version2Handler = async (context, exchange) => {
  const { request, response } = exchange
  await checkSpace(context)
  const body = await readJson(context, request, pushLimits.openBytes)
  const root = rootOf(body['root'])
  const candidates = digestsOf(body['candidates'])
  const name = body['tag']
  const tag = typeof name === 'string' ? parseTagName(name) : undefined
  await using used = await context.shelf.use(exchange.repositoryPath)
  const { repository } = used
  await context.stored.check(repository, context.limits().repositoryBytes)
  const owner = ownerOf(context, exchange)
  if (owner.known === 'received') {
    // Who may not read must not learn what is here, by any answer.
    const upload = await openOne(context, repository, { ...owner, root })
    response.json({ id: upload.id, present: false, common: [] })
    return
  }
  const present = await repository.objects.has([root.digest, ...candidates])
  const isPresent = present.get(0)
  const upload = isPresent
    ? undefined
    : await openOne(context, repository, { ...owner, root })
  const current = tag === undefined ? undefined : await repository.tags.find(tag)
  response.json({
    id: upload?.id ?? '0',
    present: isPresent,
    common: candidates.filter((_, index) => present.get(index + 1)),
    tag: current?.digest ?? null,
  })
}

/** `POST /v2/uploads/ID/missing`: which of many objects have to be sent. */
export const askMissing: Version2Handler = async (context, exchange) => {
  const { request, response, rest } = exchange
  expectType(request, bytesType)
  using lease = context.memory.open()
  const limit = pushLimits.queryDigests * maxDigestBytes
  const row = await readBody(context, request, { limit, lease })
  const digests = decodeDigestRow(row, pushLimits.queryDigests)
  const repository = await openNamed(context, exchange)
  const upload = await context.uploads.find(
    repository,
    idOf(rest),
    ownerOf(context, exchange),
  )
  const missing = await upload.missing(digests)
  response.type(bytesType).send(encodeBits(missing))
}

/** `POST /v2/uploads/ID/packs`: the objects; then the tag moves. */
export const receivePack: Version2Handler = async (context, exchange) => {
  const { request, response, log, rest } = exchange
  expectType(request, transferType)
  await checkSpace(context)
  await using used = await context.shelf.use(exchange.repositoryPath)
  using place = takePlace(context, exchange, 'push')
  const { repository } = used
  using added = await context.stored.begin(repository, context.limits().repositoryBytes)
  const upload = await context.uploads.find(
    repository,
    idOf(rest),
    ownerOf(context, exchange),
  )
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of bodyOf(context, request)) {
      added.add(chunk.length)
      await place.pass(chunk.length)
      yield chunk
    }
  }
  try {
    const { root, tag, objects, bytes, skipped } = await upload.finish(counted(), {
      who: whoOf(exchange),
      tagging: may(context, exchange, 'tag-move') ? 'any' : 'new',
      onTagged: async move => recordMove(context, exchange, move),
      signal: place.signal,
      cutOff: () => void request.destroy(),
    })
    log.add({ objects, bytes, skipped })
    const { digest: to } = root
    const named = tag && { tag: tag.name }
    const origin = auditOrigin(exchange)
    await context.audit.record({
      ...origin,
      action: 'push',
      ...named,
      to,
      objects,
      bytes,
    })
    response.json({ digest: to, ...named, objects, bytes })
  } finally {
    // What came is kept for a day when the push is not whole.
    added.keep()
  }
}

const maxDigestBytes = 65

async function checkSpace({ audit, shelf, limits }: Version2Context): Promise<void> {
  audit.check()
  await checkFreeSpace(shelf.root, limits().freeBytes)
}

async function openOne(
  { uploads, limits, memory }: Version2Context,
  repository: Repository,
  owner: UploadOwner,
): Promise<Upload> {
  const { receive, transfersPerPrincipal: openOfPrincipal } = limits()
  return uploads.open(repository, owner, { receive, memory, openOfPrincipal })
}

/** Whose upload it is: of strangers, each address is one. */
function ownerOf(
  context: Version2Context,
  exchange: Version2Exchange,
): Omit<UploadOwner, 'root'> {
  const { principal, log } = exchange
  return {
    principal: principal.anonymous ? `anonymous ${log.peer}` : principal.name,
    known: may(context, exchange, 'pull') ? 'session' : 'received',
  }
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
