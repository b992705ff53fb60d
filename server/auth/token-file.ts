import { randomBytes, timingSafeEqual } from 'node:crypto'
import { closeSync, constants, openSync, readFileSync, statSync } from 'node:fs'
import { InvalidArgumentError } from '../../lib/errors.js'
import { replaceFile } from '../../lib/repository/durable-file.js'
import { waitFor } from '../../lib/repository/lock.js'
import { named, naming } from '../../lib/repository/system-failure.js'
import { isErrno } from '../../lib/system/errno.js'
import { systemFileCalls } from '../../lib/system/file-calls.js'
import { tryLock } from '../../lib/system/flock.js'
import type { Grant } from './grants.js'
import { createToken, hashToken } from './token.js'
import {
  decodeTokenList,
  encodeTokenList,
  parseTokenName,
  type TokenRecord,
} from './token-list.js'

/** What a new token shall be. */
export type NewToken = {
  readonly name: string
  readonly grant: Grant
  /** Milliseconds since 1970-01-01 UTC; without it, it lasts until it is revoked. */
  readonly expires: number | undefined
}

type Loaded = {
  /** What tells this state of the file from another. */
  readonly state: string
  readonly tokens: ReadonlyMap<string, TokenRecord>
}

/**
 * The tokens that a server takes: one file, replaced as a whole under the lock of
 * `FILE.lock`. A change counts for the next request.
 */
export class TokenFile {
  readonly path: string
  #loaded: Loaded | undefined

  constructor(path: string) {
    this.path = path
  }

  /** Every token, in the order in which they were made. */
  list(): TokenRecord[] {
    return [...this.#load().tokens.values()]
  }

  /** The record of a token that counts now; undefined for all others. */
  find(token: string, now = Date.now()): TokenRecord | undefined {
    const hash = hashToken(token)
    const record = this.#load().tokens.get(hash)
    if (record === undefined) return undefined
    const isSame = timingSafeEqual(Buffer.from(hash), Buffer.from(record.sha256))
    const isOver = record.expires !== undefined && record.expires <= now
    return isSame && !isOver && record.revoked === undefined ? record : undefined
  }

  /** Makes a token; it is told once, and nowhere kept. */
  async create(wanted: NewToken): Promise<{ token: string; record: TokenRecord }> {
    parseTokenName(wanted.name)
    const token = createToken()
    const record: TokenRecord = {
      id: randomBytes(4).toString('hex'),
      sha256: hashToken(token),
      created: Date.now(),
      revoked: undefined,
      ...wanted,
    }
    await this.#change(tokens => {
      const isTaken = tokens.some(
        ({ name, revoked }) => name === wanted.name && revoked === undefined,
      )
      if (!isTaken) return [...tokens, record]
      throw new InvalidArgumentError(`a token named ${wanted.name} is there already`, {
        name: wanted.name,
      })
    })
    return { token, record }
  }

  /** Ends a token, by its id or name; throws InvalidArgumentError when there is none. */
  async revoke(idOrName: string): Promise<TokenRecord> {
    let ended: TokenRecord | undefined
    await this.#change(tokens =>
      tokens.map(record => {
        const isMeant = record.id === idOrName || record.name === idOrName
        if (!isMeant || record.revoked !== undefined) return record
        ended = { ...record, revoked: Date.now() }
        return ended
      }),
    )
    if (ended === undefined) {
      throw new InvalidArgumentError(`no token ${JSON.stringify(idOrName)} that counts`, {
        found: idOrName,
      })
    }
    return ended
  }

  async #change(
    change: (tokens: readonly TokenRecord[]) => readonly TokenRecord[],
  ): Promise<void> {
    const { path } = this
    await naming('write', path, async () => {
      const lockPath = `${path}.lock`
      const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW
      const lock = openSync(lockPath, flags, 0o600)
      try {
        const awaited = { path: lockPath, what: 'lock of tokens' }
        await waitFor(() => tryLock(lock, 'exclusive'), awaited)
        this.#loaded = undefined
        const bytes = encodeTokenList(change(this.list()))
        const temporary = `${path}.new`
        await replaceFile(path, bytes, { temporary, calls: systemFileCalls })
      } finally {
        closeSync(lock)
      }
    })
  }

  #load(): Loaded {
    const state = stateOf(this.path)
    if (this.#loaded?.state === state) return this.#loaded
    const text = state === 'absent' ? undefined : readIfThere(this.path)
    const tokens = text === undefined ? [] : decodeTokenList(text, this.path)
    this.#loaded = {
      state,
      tokens: new Map(tokens.map(record => [record.sha256, record])),
    }
    return this.#loaded
  }
}

// It is replaced, never written in place, so another state is another file.
function stateOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false })
  if (stat === undefined) return 'absent'
  return [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(':')
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw named(error, 'read', path)
  }
}
