import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { InvalidArgumentError } from '../lib/errors.js'
import { findAlgorithmByName } from '../lib/object/algorithm.js'
import { MemoryBudget, type MemoryBudgetOptions } from '../lib/remote/memory-budget.js'
import { defaultPatience, type Patience } from '../lib/remote/peer-watch.js'
import type { ReceiveLimits } from '../lib/remote/receive-limits.js'
import type { RepositoryChoices } from '../lib/repository/config.js'
import { createApplication } from './application.js'
import type { Logger } from './log-entry.js'
import { RepositoryShelf } from './repository-shelf.js'
import { TagLists } from './tag-lists.js'
import { TransferSessions } from './transfer-sessions.js'
import { makeResponse, type Upgradable } from './upgrade-request.js'
import type { Version1Context } from './version1-handler.js'

/** What a server serves, and within which bounds. */
export type ServerOptions = {
  /** A folder of repositories, at any depth, or a repository itself. */
  readonly root: string
  /** Lets a push make the repository that it goes to. */
  readonly create?: boolean
  /** What repositories made so are like: packs, zstd:3 and BLAKE3 by default. */
  readonly choices?: Partial<RepositoryChoices>
  readonly readOnly?: boolean
  /** Takes pushes from anyone, also when it does not listen on the loopback alone. */
  readonly allowAnonymousPush?: boolean
  readonly logger?: Logger
  /** Upgraded connections at a time; more are answered with status 503. */
  readonly maxTransfers?: number
  readonly maxOpenRepositories?: number
  readonly limits?: Partial<ReceiveLimits>
  /** Memory that all pushes together take for large directories and what they lack. */
  readonly transferMemory?: Partial<MemoryBudgetOptions>
  readonly idleTimeoutMs?: number
  /** Milliseconds that a client who pulls may be silent once it has got something. */
  readonly settleTimeoutMs?: number
  readonly minimumBytesPerSecond?: number
}

/** A running, or not yet running, server. Disposing closes it at once. */
export interface CairnServer extends AsyncDisposable {
  /** Starts to listen; throws what the system says. On 127.0.0.1 and a free port by default. */
  listen(options?: { host?: string; port?: number }): Promise<AddressInfo>

  /** Where it listens; undefined before and after. */
  readonly address: AddressInfo | undefined

  /** Why it refuses pushes where it listens; undefined when it takes them. */
  readonly pushRefusal: string | undefined

  /** Takes no more connections, lets transfers finish for `graceMs`, then aborts them. */
  close(options?: { graceMs?: number }): Promise<void>
}

const defaultMaxTransfers = 256
const defaultMaxOpenRepositories = 64

// Half of it holds a directory of the largest size, with all that it names missing.
const defaultTransferMemoryBytes = 768 * 1024 * 1024
const defaultGraceMs = 10_000
const maxConnections = 2048

// A client that pulls may be making durable what it has: on a slow disk that takes minutes.
const defaultSettleTimeoutMs = 5 * 60_000

/** Makes a server; throws what the system says when the root folder is missing. */
export function createServer(options: ServerOptions): CairnServer {
  return new HttpServer(options)
}

class HttpServer implements CairnServer {
  readonly #server: Server
  readonly #sessions: TransferSessions
  readonly #upgradables = new WeakMap<IncomingMessage, Upgradable>()
  /** Sockets of requests that asked to upgrade: Node forgets them. */
  readonly #upgrading = new Set<Duplex>()
  readonly #options: ServerOptions
  #isClosing = false
  #closed: Promise<void> | undefined

  constructor(options: ServerOptions) {
    this.#options = options
    this.#sessions = new TransferSessions(options.maxTransfers ?? defaultMaxTransfers)
    const application = createApplication({
      ...this.#version1(),
      logger: options.logger ?? (() => undefined),
      upgradables: this.#upgradables,
    })
    this.#server = createHttpServer(
      {
        headersTimeout: 15_000,
        requestTimeout: 60_000,
        connectionsCheckingInterval: 5_000,
      },
      application,
    )
    this.#server.maxConnections = maxConnections
    this.#server.timeout = this.#patience.idleTimeoutMs
    this.#server.on('upgrade', (request, socket, head) => {
      this.#noteUpgrade(request, socket, head)
      application(request, makeResponse(request, socket))
    })
  }

  get address(): AddressInfo | undefined {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address : undefined
  }

  async listen({ host = '127.0.0.1', port = 0 } = {}): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
    const { address } = this
    if (address === undefined) throw new Error('a listening server has no address')
    return address
  }

  async close({ graceMs = defaultGraceMs } = {}): Promise<void> {
    this.#closed ??= this.#close(graceMs)
    await this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close({ graceMs: 0 })
  }

  async #close(graceMs: number): Promise<void> {
    this.#isClosing = true
    const ended = new Promise<void>(resolve => {
      // An error only says that it was not listening.
      this.#server.close(() => resolve())
    })
    this.#server.closeIdleConnections()
    const grace = setTimeout(() => {
      this.#sessions.abort(new Error('the server is closing'))
      this.#server.closeAllConnections()
      for (const socket of this.#upgrading) socket.destroy()
    }, graceMs)
    await Promise.all([ended, this.#sessions.idle()])
    clearTimeout(grace)
  }

  #noteUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Whoever uses the socket sees it close; without a listener an error ends the process.
    socket.on('error', () => socket.destroy())
    request.socket.once('timeout', () => socket.destroy())
    this.#upgrading.add(socket)
    socket.once('close', () => this.#upgrading.delete(socket))
    this.#upgradables.set(request, { socket, head })
  }

  get #patience(): Patience {
    const { idleTimeoutMs, minimumBytesPerSecond } = this.#options
    return {
      idleTimeoutMs: idleTimeoutMs ?? defaultPatience.idleTimeoutMs,
      minimumBytesPerSecond:
        minimumBytesPerSecond ?? defaultPatience.minimumBytesPerSecond,
    }
  }

  #version1(): Version1Context {
    const { root, create = false, readOnly = false, limits = {} } = this.#options
    return {
      shelf: new RepositoryShelf({
        root,
        access: readOnly ? 'read' : 'write',
        createWith: create && !readOnly ? this.#choices() : undefined,
        maxOpen: this.#options.maxOpenRepositories ?? defaultMaxOpenRepositories,
      }),
      tagLists: new TagLists(),
      sessions: this.#sessions,
      patience: this.#patience,
      settleTimeoutMs: this.#options.settleTimeoutMs ?? defaultSettleTimeoutMs,
      limits,
      memory: new MemoryBudget({
        bytes: defaultTransferMemoryBytes,
        ...this.#options.transferMemory,
      }),
      refusal: () => this.pushRefusal,
      isClosing: () => this.#isClosing,
    }
  }

  #choices(): RepositoryChoices {
    const { choices = {} } = this.#options
    const algorithm = choices.algorithm ?? findAlgorithmByName('blake3')
    if (algorithm === undefined)
      throw new InvalidArgumentError('no algorithm to create with')
    return { layout: 'pack', compression: 'zstd:3', ...choices, algorithm }
  }

  get pushRefusal(): string | undefined {
    if (this.#options.readOnly === true) return 'this server is read-only'
    const isLocal = isLoopback(this.address?.address ?? '')
    return isLocal || this.#options.allowAnonymousPush === true
      ? undefined
      : 'this server takes no anonymous pushes'
  }
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address)
}
