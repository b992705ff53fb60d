import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CairnError, InvalidArgumentError } from '../lib/errors.js'
import { findAlgorithmByName } from '../lib/object/algorithm.js'
import { MemoryBudget } from '../lib/remote/memory-budget.js'
import { defaultPatience } from '../lib/remote/peer-watch.js'
import { Uploads } from '../lib/remote/version2/uploads.js'
import type { RepositoryChoices } from '../lib/repository/config.js'
import { Admission } from './admission.js'
import { createApplication, createMetricsApplication } from './application.js'
import { PolicyAuthenticator } from './auth/authenticate.js'
import { checkFreeSpace } from './free-space.js'
import { HttpFront } from './http-front.js'
import type { LogEntry } from './log-entry.js'
import { AuditLog, noAudit } from './operations/audit-log.js'
import { Maintenance } from './operations/maintenance.js'
import { ServerMetrics } from './operations/server-metrics.js'
import { PrincipalAccounts } from './principal-accounts.js'
import { RepositoryShelf } from './repository-shelf.js'
import type { ServerContext } from './server-context.js'
import { type EffectiveLimits, effectiveLimits } from './server-limits.js'
import type {
  CairnServer,
  ListenOptions,
  ReloadableOptions,
  ServerOptions,
} from './server-options.js'
import { StoredBytes } from './stored-bytes.js'
import { TagLists } from './tag-lists.js'
import { secureContextOptions } from './tls.js'
import { TransferSessions } from './transfer-sessions.js'
import type { Upgradable } from './upgrade-request.js'

const defaultMaxOpenRepositories = 64

// Half of it holds a directory of the largest size, with all that it names missing.
const defaultTransferMemoryBytes = 768 * 1024 * 1024
const defaultGraceMs = 10_000

// A client that pulls may be making durable what it has: on a slow disk that takes minutes.
const defaultSettleTimeoutMs = 5 * 60_000

/** Makes a server; throws what the system says when the root folder is missing. */
export function createServer(options: ServerOptions): CairnServer {
  return new HttpServer(options)
}

class HttpServer implements CairnServer {
  readonly #options: ServerOptions
  readonly #front: HttpFront
  readonly #metricsFront: HttpFront
  readonly #sessions = new TransferSessions()
  readonly #uploads: Uploads
  readonly #shelf: RepositoryShelf
  readonly #memory: MemoryBudget
  readonly #metrics: ServerMetrics
  readonly #audit: AuditLog | undefined
  readonly #authenticator: PolicyAuthenticator | undefined
  #maintenance: Maintenance | undefined
  #limits: EffectiveLimits
  #isRecovering = false
  #recovery: Promise<void> = Promise.resolve()
  #isClosing = false
  #closed: Promise<void> | undefined

  constructor(options: ServerOptions) {
    const { access, auditLog, limits = {}, transferMemory, tls } = options
    const idleTimeoutMs = options.idleTimeoutMs ?? defaultPatience.idleTimeoutMs
    this.#options = options
    this.#limits = effectiveLimits(limits)
    this.#shelf = this.#makeShelf()
    this.#memory = new MemoryBudget({
      bytes: defaultTransferMemoryBytes,
      ...transferMemory,
    })
    this.#authenticator = access && new PolicyAuthenticator(access)
    this.#audit = auditLog === undefined ? undefined : new AuditLog(auditLog)
    this.#metrics = new ServerMetrics(() => ({
      ...this.#sessions.count,
      memoryBytes: this.#memory.taken,
      memoryWaiting: this.#memory.waiting,
      passwordChecks: this.#authenticator?.passwordChecks ?? 0,
      ready: !this.#isClosing && !this.#isRecovering,
    }))
    this.#uploads = new Uploads()
    const upgradables = new WeakMap<IncomingMessage, Upgradable>()
    const application = createApplication({
      ...this.#makeContext(idleTimeoutMs),
      uploads: this.#uploads,
      logger: entry => this.#log(entry),
      metrics: this.#metrics,
      findTrouble: async () => this.#findTrouble(),
      upgradables,
    })
    this.#front = new HttpFront(application, upgradables, { tls, idleTimeoutMs })
    const forMetrics = createMetricsApplication(this.#metrics)
    this.#metricsFront = new HttpFront(forMetrics, new WeakMap(), {
      tls: undefined,
      idleTimeoutMs,
    })
  }

  get address(): AddressInfo | undefined {
    return this.#front.address
  }

  get pushRefusal(): string | undefined {
    if (this.#options.readOnly === true) return 'this server is read-only'
    return this.#authenticator === undefined ? this.#strangersRefusal : undefined
  }

  async listen(options: ListenOptions = {}): Promise<AddressInfo> {
    const { maintenance, readOnly = false } = this.#options
    this.#isRecovering = !readOnly
    const address = await this.#front.listen(options)
    if (readOnly) return address
    this.#recovery = this.#recover()
    if (maintenance !== undefined) {
      this.#maintenance = new Maintenance({
        ...maintenance,
        shelf: this.#shelf,
        logger: entry => this.#log(entry),
        onCollected: outcome => this.#metrics.collected(outcome),
      })
    }
    return address
  }

  async listenForMetrics(options: ListenOptions = {}): Promise<AddressInfo> {
    return this.#metricsFront.listen(options)
  }

  reload({ access, limits = {}, tls }: ReloadableOptions): void {
    if ((access === undefined) !== (this.#authenticator === undefined)) {
      throw new InvalidArgumentError('access rules begin or end with a restart only')
    }
    if ((tls === undefined) !== (this.#options.tls === undefined)) {
      throw new InvalidArgumentError('TLS begins or ends with a restart only')
    }
    if (tls !== undefined) secureContextOptions(tls)
    this.#audit?.reopen()
    if (tls !== undefined) this.#front.replaceTls(tls)
    this.#limits = effectiveLimits(limits)
    if (access !== undefined && this.#authenticator !== undefined) {
      this.#authenticator.policy = access
    }
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
    const ended = [this.#front.end(), this.#metricsFront.end()]
    const grace = setTimeout(() => {
      this.#sessions.abort(new Error('the server is closing'))
      this.#front.drop()
      this.#metricsFront.drop()
    }, graceMs)
    await Promise.all([...ended, this.#sessions.idle()])
    await this.#uploads[Symbol.asyncDispose]()
    clearTimeout(grace)
    await this.#recovery
    await this.#maintenance?.[Symbol.asyncDispose]()
    await this.#authenticator?.[Symbol.asyncDispose]()
    await this.#audit?.[Symbol.asyncDispose]()
    this.#metrics[Symbol.dispose]()
  }

  // What sessions of a server that was killed left behind goes before it is missed.
  async #recover(): Promise<void> {
    try {
      for await (const path of this.#shelf.list()) {
        if (this.#isClosing) return
        await this.#recoverOne(path)
      }
    } catch (error) {
      this.#logTrouble('cannot look through the repositories', '/', error)
    } finally {
      this.#isRecovering = false
    }
  }

  async #recoverOne(path: readonly string[]): Promise<void> {
    try {
      await this.#shelf.get(path)
    } catch (error) {
      this.#logTrouble('cannot open a repository', `/${path.join('/')}`, error)
    }
  }

  async #findTrouble(): Promise<string | undefined> {
    if (this.#isClosing) return 'closing'
    if (this.#isRecovering) return 'recovering'
    if (this.#audit?.healthy === false) return 'the audit log cannot be written'
    this.#shelf.check()
    if (this.#options.readOnly === true) return undefined
    try {
      await checkFreeSpace(this.#shelf.root, this.#limits.freeBytes)
    } catch (error) {
      if (error instanceof CairnError) return 'too little space is free'
      throw error
    }
    return undefined
  }

  #log(entry: LogEntry): void {
    this.#metrics.observe(entry)
    this.#options.logger?.(entry)
  }

  #logTrouble(message: string, path: string, error: unknown): void {
    const time = new Date().toISOString()
    const shown = error instanceof Error ? error.message : String(error)
    this.#log({ time, level: 'error', message, path, error: shown })
  }

  #makeContext(idleTimeoutMs: number): ServerContext {
    const { readOnly = false, minimumBytesPerSecond, settleTimeoutMs } = this.#options
    return {
      shelf: this.#shelf,
      tagLists: new TagLists(),
      admission: new Admission({
        authenticator: this.#authenticator,
        readOnly,
        strangersRefusal: () => this.#strangersRefusal,
      }),
      sessions: this.#sessions,
      accounts: new PrincipalAccounts(),
      stored: new StoredBytes(),
      audit: this.#audit ?? noAudit,
      patience: {
        idleTimeoutMs,
        minimumBytesPerSecond:
          minimumBytesPerSecond ?? defaultPatience.minimumBytesPerSecond,
      },
      settleTimeoutMs: settleTimeoutMs ?? defaultSettleTimeoutMs,
      memory: this.#memory,
      limits: () => this.#limits,
      isClosing: () => this.#isClosing,
    }
  }

  #makeShelf(): RepositoryShelf {
    const { root, create = false, readOnly = false, maxOpenRepositories } = this.#options
    return new RepositoryShelf({
      root,
      access: readOnly ? 'read' : 'write',
      createWith: create && !readOnly ? this.#choices() : undefined,
      maxOpen: maxOpenRepositories ?? defaultMaxOpenRepositories,
    })
  }

  #choices(): RepositoryChoices {
    const { choices = {} } = this.#options
    const algorithm = choices.algorithm ?? findAlgorithmByName('blake3')
    if (algorithm === undefined)
      throw new InvalidArgumentError('no algorithm to create with')
    return { layout: 'pack', compression: 'zstd:3', ...choices, algorithm }
  }

  get #strangersRefusal(): string | undefined {
    const isLocal = isLoopback(this.address?.address ?? '')
    return isLocal || this.#options.allowAnonymousPush === true
      ? undefined
      : 'this server takes no anonymous pushes'
  }
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address)
}
