import type { Request, Response } from 'express'
import { AccessRefusedError } from '../lib/errors.js'
import { encodeDescriptor } from '../lib/object/descriptor.js'
import { parseTagName } from '../lib/object/tag-name.js'
import type { MemoryBudget } from '../lib/remote/memory-budget.js'
import { PeerConnection, type PeerOptions } from '../lib/remote/peer-connection.js'
import type { ReceiveLimits } from '../lib/remote/receive-limits.js'
import { receivePush } from '../lib/remote/receive-push.js'
import { sendObjects } from '../lib/remote/send-objects.js'
import type { Repository } from '../lib/repository/repository.js'
import { sendProblem } from './problem.js'
import { parseRepositoryPath } from './repository-path.js'
import type { RepositoryShelf, UsedRepository } from './repository-shelf.js'
import type { RequestLog } from './request-log.js'
import type { TagLists } from './tag-lists.js'
import type { TransferSession, TransferSessions } from './transfer-sessions.js'
import {
  acceptUpgrade,
  asksForStream,
  hasBody,
  type Upgradable,
} from './upgrade-request.js'
import { findService, queryOf, type Version1Service } from './version1-service.js'

/** What the services of version 1 work with. */
export type Version1Context = {
  readonly shelf: RepositoryShelf
  readonly tagLists: TagLists
  readonly sessions: TransferSessions
  readonly patience: Pick<PeerOptions, 'idleTimeoutMs' | 'minimumBytesPerSecond'>
  /** For clients that pull and have got something. */
  readonly settleTimeoutMs: number
  readonly limits: Partial<ReceiveLimits>
  readonly memory: MemoryBudget
  /** Why pushes are refused, if they are. */
  readonly refusal: () => string | undefined
  readonly isClosing: () => boolean
}

// Files that are no tags are told of, but do not fill the log.
const maxSkippedNotes = 20

/** One request on its way. */
export type Exchange = {
  readonly request: Request
  readonly response: Response
  readonly log: RequestLog
  /** There if the request came with upgrade headers. */
  readonly upgradable: Upgradable | undefined
}

/** Answers a request of version 1, whatever its method (format section 4). */
export async function handleVersion1(
  context: Version1Context,
  exchange: Exchange,
): Promise<void> {
  const { request, response, log } = exchange
  const query = queryOf(request.originalUrl)
  const service = findService(query)
  if (service === undefined) {
    response
      .status(404)
      .type('text/plain; charset=utf-8')
      .set('X-Content-Type-Options', 'nosniff')
      .send('404 page not found\n')
    return
  }
  log.add({ service })
  await services[service](context, exchange, query.get('tag') ?? undefined)
}

type Service = (
  context: Version1Context,
  exchange: Exchange,
  tag: string | undefined,
) => Promise<void>

const services: Readonly<Record<Version1Service, Service>> = {
  'get-tag': getTag,
  'list-tags': listTags,
  'serve-objects': serveObjects,
  'receive-objects': receiveObjects,
}

async function getTag(
  { shelf }: Version1Context,
  { request, response }: Exchange,
  tag: string | undefined,
): Promise<void> {
  const name = parseTagName(tag ?? '')
  const repository = await shelf.get(parseRepositoryPath(request.path))
  const descriptor = await repository.tags.find(name)
  if (descriptor === undefined) {
    response.status(404).set('Content-Length', '0').end()
    return
  }
  sendBytes(response, encodeDescriptor(descriptor))
}

async function listTags(
  { shelf, tagLists }: Version1Context,
  { request, response, log }: Exchange,
): Promise<void> {
  const repository = await shelf.get(parseRepositoryPath(request.path))
  const { bytes, skipped } = await tagLists.get(repository)
  for (const { name, reason } of skipped.slice(0, maxSkippedNotes)) {
    log.note(`tag file "${name}" skipped: ${reason}`)
  }
  sendBytes(response, bytes)
}

function sendBytes(response: Response, bytes: Buffer): void {
  response.status(200).type('application/octet-stream').send(bytes)
}

async function serveObjects(context: Version1Context, exchange: Exchange): Promise<void> {
  const { request, log } = exchange
  await runStream(context, exchange, {
    open: async () => {
      const repository = await context.shelf.get(parseRepositoryPath(request.path))
      return { repository, async [Symbol.asyncDispose]() {} }
    },
    transfer: async (peer, repository) => {
      const result = await sendObjects(peer, repository.objects, {
        served: { kind: 'published' },
        settleTimeoutMs: context.settleTimeoutMs,
        stallTimeoutMs: context.settleTimeoutMs,
      })
      log.add({ objects: result.objects, bytes: result.bytes })
      if (result.kind === 'broken-end') log.addError(result.cause)
    },
  })
}

async function receiveObjects(
  context: Version1Context,
  exchange: Exchange,
  tag: string | undefined,
): Promise<void> {
  const { request, log } = exchange
  const name = tag === undefined ? {} : { tag: parseTagName(tag) }
  const refusal = context.refusal()
  if (refusal !== undefined) throw new AccessRefusedError(refusal)
  await runStream(context, exchange, {
    open: () => context.shelf.use(parseRepositoryPath(request.path)),
    transfer: async (peer, repository, { signal }) => {
      const { objects, bytes } = await receivePush(peer, repository, {
        ...name,
        who: log.peer,
        limits: context.limits,
        memory: context.memory,
        signal,
      })
      log.add({ objects, bytes })
      const problem = repository.maintenanceProblem
      if (problem !== undefined) log.note(`packs were not tidied up: ${problem.message}`)
    },
  })
}

type StreamService = {
  /** Finds the repository while a refusal can still be told. */
  readonly open: () => Promise<UsedRepository>
  readonly transfer: (
    peer: PeerConnection,
    repository: Repository,
    session: TransferSession,
  ) => Promise<void>
}

async function runStream(
  context: Version1Context,
  { request, response, log, upgradable }: Exchange,
  { open, transfer }: StreamService,
): Promise<void> {
  if (upgradable === undefined || !asksForStream(request)) {
    response.set({ Upgrade: 'tcp', Connection: 'Upgrade' })
    return sendProblem(response, { status: 426, detail: 'expected "Upgrade: tcp"' })
  }
  if (hasBody(request)) {
    return sendProblem(response, {
      status: 400,
      detail: 'an upgrade request with a body',
    })
  }
  using session = context.isClosing() ? undefined : context.sessions.begin()
  if (session === undefined) {
    response.set('Retry-After', '1')
    return sendProblem(response, { status: 503, detail: 'too many transfers' })
  }
  const used = await open()
  try {
    await using use = used
    acceptUpgrade(response, upgradable)
    await using peer = new PeerConnection(upgradable.socket, {
      ...context.patience,
      signal: session.signal,
    })
    await transfer(peer, use.repository, session)
  } catch (error) {
    // Version 1 has no way to tell a peer why: it sees the connection close.
    log.addError(error)
  }
  log.end(101)
}
