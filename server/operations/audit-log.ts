import { closeSync, constants, fsync, fsyncSync, openSync, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { named } from '../../lib/repository/system-failure.js'
import { SharedRun } from '../shared-run.js'

/** Something that somebody did, for the record. */
export type AuditEntry = {
  readonly action: 'tag-set' | 'tag-remove' | 'push' | 'token-create' | 'token-revoke'
  readonly who: string
  /** Where it came from; absent for what was done on this machine. */
  readonly address?: string
  /** The request's id in the server's log. */
  readonly request?: string
  readonly repository?: string
  readonly tag?: string
  /** What the tag named before and after: digests, null for no tag. */
  readonly from?: string | null
  readonly to?: string | null
  readonly objects?: number
  readonly bytes?: number
  readonly token?: string
}

/** Where audit entries go. */
export interface Auditor {
  /** Returns when the entry would survive a power loss. */
  record(entry: AuditEntry): Promise<void>

  /** Throws when entries cannot be written, before something is done that needs one. */
  check(): void
}

/** For servers without an audit log. */
export const noAudit: Auditor = { record: async () => undefined, check: () => undefined }

const syncFile = promisify(fsync)
const flags =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW

/**
 * An audit log: one line of JSON an entry, appended whole, and synced before whatever it
 * tells of is acknowledged. Entries that come together share a sync. An entry that could
 * not be written fails all later ones, so that nothing goes on without a record.
 */
export class AuditLog implements Auditor, AsyncDisposable {
  readonly path: string
  #fd: number
  readonly #syncs = new SharedRun(async () => syncFile(this.#fd))
  #failure: unknown

  /** Throws what the system says when it cannot be opened. */
  constructor(path: string) {
    this.path = path
    this.#fd = open(path)
  }

  /** Whether entries can be written. */
  get healthy(): boolean {
    return this.#failure === undefined
  }

  check(): void {
    if (this.#failure === undefined) return
    throw new Error('the audit log is broken', { cause: this.#failure })
  }

  async record(entry: AuditEntry): Promise<void> {
    this.check()
    const line = `${JSON.stringify({ time: new Date().toISOString(), ...entry })}\n`
    try {
      const bytes = Buffer.from(line)
      const written = writeSync(this.#fd, bytes)
      if (written !== bytes.length) throw new Error(`${this.path}: written in part`)
      await this.#syncs.get()
    } catch (error) {
      this.#failure = error
      throw named(error, 'write', this.path)
    }
  }

  /** Opens the file of that name anew, for whoever moved the old one away. */
  reopen(): void {
    const before = this.#fd
    this.#fd = open(this.path)
    this.#failure = undefined
    // Entries may wait for a sync, which is now one of the new file.
    fsyncSync(before)
    const close = (): void => closeSync(before)
    // A sync of the old one may be under way.
    this.#syncs.get().then(close, close)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#syncs.get()
    } finally {
      closeSync(this.#fd)
    }
  }
}

function open(path: string): number {
  try {
    return openSync(path, flags, 0o600)
  } catch (error) {
    throw named(error, 'open', path)
  }
}
