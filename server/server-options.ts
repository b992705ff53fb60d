import type { AddressInfo } from 'node:net'
import type { MemoryBudgetOptions } from '../lib/remote/memory-budget.js'
import type { RepositoryChoices } from '../lib/repository/config.js'
import type { AccessPolicy } from './auth/authenticate.js'
import type { Logger } from './log-entry.js'
import type { MaintenanceSchedule } from './operations/maintenance.js'
import type { ServerLimits } from './server-limits.js'
import type { TlsMaterial } from './tls.js'

/** What a server serves, to whom, and within which bounds. */
export type ServerOptions = ReloadableOptions & {
  /** A folder of repositories, at any depth, or a repository itself. */
  readonly root: string
  /** Lets a push make the repository that it goes to. */
  readonly create?: boolean
  /** What repositories made so are like: packs, zstd:3 and BLAKE3 by default. */
  readonly choices?: Partial<RepositoryChoices>
  readonly readOnly?: boolean
  /**
   * Without an access policy: takes pushes from anyone, also when it does not listen on the
   * loopback alone.
   */
  readonly allowAnonymousPush?: boolean
  readonly logger?: Logger
  /** File of the audit log; without it there is none. */
  readonly auditLog?: string
  /** Collects garbage while it serves; without it, nobody does. */
  readonly maintenance?: MaintenanceSchedule
  readonly maxOpenRepositories?: number
  /** Memory that all pushes together take for large directories and what they lack. */
  readonly transferMemory?: Partial<MemoryBudgetOptions>
  readonly idleTimeoutMs?: number
  /** Milliseconds that a client who pulls may be silent once it has got something. */
  readonly settleTimeoutMs?: number
  readonly minimumBytesPerSecond?: number
}

/** What can be changed while a server runs. */
export type ReloadableOptions = {
  /** Who may do what; without it everyone may pull, and push as `allowAnonymousPush` says. */
  readonly access?: AccessPolicy
  readonly limits?: ServerLimits
  /** Serves TLS; whether it does cannot be changed while it runs. */
  readonly tls?: TlsMaterial
}

/** Where a server listens: an address, or a socket that listens already. */
export type ListenOptions =
  | { readonly host?: string; readonly port?: number }
  | { readonly fd: number }

/** A running, or not yet running, server. Disposing closes it at once. */
export interface CairnServer extends AsyncDisposable {
  /** Starts to listen; throws what the system says. On 127.0.0.1 and a free port by default. */
  listen(options?: ListenOptions): Promise<AddressInfo>

  /** Starts to serve the metrics, and nothing else, at an address of their own. */
  listenForMetrics(options?: ListenOptions): Promise<AddressInfo>

  /** Where it listens; undefined before and after. */
  readonly address: AddressInfo | undefined

  /** Why it refuses all pushes where it listens; undefined when it takes some. */
  readonly pushRefusal: string | undefined

  /**
   * Replaces what can be replaced, for all that begins from now on, and opens the audit
   * log anew. Throws before anything is replaced when something of it is wrong.
   */
  reload(options: ReloadableOptions): void

  /** Takes no more connections, lets transfers finish for `graceMs`, then aborts them. */
  close(options?: { graceMs?: number }): Promise<void>
}
