import { parseTagName, type TagName } from '../lib/object/tag-name.js'
import { PeerConnection } from '../lib/remote/peer-connection.js'
import { receivePush } from '../lib/remote/receive-push.js'
import { sendObjects } from '../lib/remote/send-objects.js'
import type { Repository } from '../lib/repository/repository.js'
import type { TagMove } from '../lib/repository/tag-store.js'
import { checkFreeSpace } from './free-space.js'
import type { AccountedTransfer } from './principal-accounts.js'
import { sendProblem } from './problem.js'
import type { UsedRepository } from './repository-shelf.js'
import type { ServerContext } from './server-context.js'
import type { TransferKind } from './transfer-sessions.js'
import { acceptUpgrade, asksForStream, hasBody } from './upgrade-request.js'
import type { Version1Request } from './version1-handler.js'

/** A transfer that runs: with whom, on which account, until when. */
type Transfer = {
  readonly peer: PeerConnection
  readonly repository: Repository
  readonly account: AccountedTransfer
  readonly signal: AbortSignal
}

/** Serves what a client asks for. */
export async function serveObjects(
  context: ServerContext,
  request: Version1Request,
): Promise<void> {
  const { log, path } = request
  await runStream(context, request, {
    kind: 'pull',
    open: async () => {
      const repository = await context.shelf.get(path)
      return { repository, async [Symbol.asyncDispose]() {} }
    },
    run: async ({ peer, repository, account, signal }) => {
      const result = await sendObjects(peer, repository.objects, {
        served: { kind: 'published' },
        settleTimeoutMs: context.settleTimeoutMs,
        stallTimeoutMs: context.settleTimeoutMs,
        pace: async bytes => account.pass(bytes, signal),
      })
      log.add({ objects: result.objects, bytes: result.bytes })
      if (result.kind === 'broken-end') log.addError(result.cause)
    },
  })
}

/** Receives what a client pushes. */
export async function receiveObjects(
  context: ServerContext,
  request: Version1Request,
): Promise<void> {
  const { tag } = request
  const name = tag === undefined ? undefined : parseTagName(tag)
  context.audit.check()
  await checkFreeSpace(context.shelf.root, context.limits().freeBytes)
  await runStream(context, request, {
    kind: 'push',
    open: () => context.shelf.use(request.path),
    run: async transfer => receive(context, request, name, transfer),
  })
}

async function receive(
  context: ServerContext,
  { log, path, principal }: Version1Request,
  tag: TagName | undefined,
  { peer, repository, account, signal }: Transfer,
): Promise<void> {
  const { receive: limits, repositoryBytes } = context.limits()
  const repositoryPath = path.join('/')
  using added = await context.stored.begin(repository, repositoryBytes)
  const origin = {
    who: principal.name,
    address: log.peer,
    request: log.id,
    repository: `/${repositoryPath}`,
  }
  const recordMove = async ({ name, from, to }: TagMove): Promise<void> => {
    const digests = { from: from?.digest ?? null, to: to?.digest ?? null }
    if (digests.from === digests.to) return
    await context.audit.record({ ...origin, action: 'tag-set', tag: name, ...digests })
  }
  const { objects, bytes, skipped, root } = await receivePush(peer, repository, {
    ...(tag === undefined ? {} : { tag }),
    who: principal.anonymous ? log.peer : `${principal.name}@${log.peer}`,
    tagging: principal.may('tag-move', repositoryPath) ? 'any' : 'new',
    // Who may not read must not learn what is here, nor make use of it.
    known: principal.may('pull', repositoryPath) ? 'session' : 'received',
    limits,
    memory: context.memory,
    admit: async count => {
      added.add(count)
      await account.pass(count, signal)
    },
    onTagged: recordMove,
    signal,
  })
  added.keep()
  log.add({ objects, bytes, skipped })
  await context.audit.record({
    ...origin,
    action: 'push',
    ...(tag === undefined ? {} : { tag }),
    to: root.digest,
    objects,
    bytes,
  })
}

type Stream = {
  readonly kind: TransferKind
  /** Finds the repository while a refusal can still be told. */
  readonly open: () => Promise<UsedRepository>
  readonly run: (transfer: Transfer) => Promise<void>
}

async function runStream(
  context: ServerContext,
  { request, response, log, upgradable, principal }: Version1Request,
  { kind, open, run }: Stream,
): Promise<void> {
  if (upgradable === undefined || !asksForStream(request)) {
    response.set({ Upgrade: 'tcp', Connection: 'Upgrade, close' })
    return sendProblem(response, { status: 426, detail: 'expected "Upgrade: tcp"' })
  }
  if (hasBody(request)) {
    return sendProblem(response, {
      status: 400,
      detail: 'an upgrade request with a body',
    })
  }
  if (context.isClosing()) {
    response.set('Retry-After', '1')
    return sendProblem(response, { status: 503, detail: 'the server is closing' })
  }
  const { transfers, uploads, ...ofPrincipal } = context.limits()
  using session = context.sessions.begin(kind, { transfers, uploads })
  using account = context.accounts.begin(principal, log.peer, ofPrincipal)
  const used = await open()
  try {
    await using use = used
    const { repository } = use
    acceptUpgrade(response, upgradable)
    const { signal } = session
    await using peer = new PeerConnection(upgradable.socket, {
      ...context.patience,
      signal,
    })
    await run({ peer, repository, account, signal })
  } catch (error) {
    // Version 1 has no way to tell a peer why: it sees the connection close.
    log.addError(error)
  }
  log.end(101)
}
