import { join } from 'node:path'
import {
  CairnError,
  InvalidArgumentError,
  InvalidRepositoryError,
  RemoteExistsError,
  RemoteNotFoundError,
} from '../errors.js'
import type { FileCalls } from '../system/file-calls.js'
import { encodeCanonicalJson } from './canonical-json.js'
import { ensureFolder, replaceFile } from './durable-file.js'
import { type LockOptions, withLock } from './lock.js'
import { parseRemoteUrl } from './remote-url.js'
import { readRepositoryFile } from './repository-file.js'
import type { RepositoryPaths } from './repository-paths.js'
import { replacementName } from './stale-temp.js'
import { named, naming } from './system-failure.js'

/** Another repository, by the name that this one has for it. */
export type Remote = { readonly name: string; readonly url: URL }

/**
 * The remotes of a repository: `ROOT/remotes.json`, one canonical JSON object of
 * `"name": {"url": "…"}`.
 */
export class RemoteBook {
  readonly #paths: RepositoryPaths
  readonly #calls: FileCalls

  constructor(paths: RepositoryPaths, calls: FileCalls) {
    this.#paths = paths
    this.#calls = calls
  }

  /** Every remote, in order of names; throws InvalidRepositoryError for a damaged book. */
  async list(): Promise<Remote[]> {
    return [...this.#read()].map(([name, url]) => ({ name, url }))
  }

  /** A remote by its name; throws RemoteNotFoundError. */
  async get(name: string): Promise<Remote> {
    const url = this.#read().get(parseRemoteName(name))
    if (url === undefined) throw notFound(name)
    return { name, url }
  }

  /** Adds a remote, durably; throws RemoteExistsError, InvalidArgumentError. */
  async add(name: string, url: string, options: LockOptions = {}): Promise<Remote> {
    const remote = { name: parseRemoteName(name), url: parseRemoteUrl(url) }
    await this.#change(options, remotes => {
      const found = remotes.get(name)
      if (found !== undefined) {
        throw new RemoteExistsError(`remote ${name} exists: it is ${found.href}`, {
          name,
          found: found.href,
        })
      }
      remotes.set(name, remote.url)
    })
    return remote
  }

  /** Removes a remote, durably; throws RemoteNotFoundError. */
  async remove(name: string, options: LockOptions = {}): Promise<void> {
    parseRemoteName(name)
    await this.#change(options, remotes => {
      if (!remotes.delete(name)) throw notFound(name)
    })
  }

  async #change(
    options: LockOptions,
    change: (remotes: Map<string, URL>) => void,
  ): Promise<void> {
    await withLock(this.#paths, { ...options, mode: 'exclusive' }, async () => {
      const remotes = this.#read()
      change(remotes)
      await naming('write', this.#paths.remotes, () => this.#write(remotes))
    })
  }

  async #write(remotes: ReadonlyMap<string, URL>): Promise<void> {
    const entries = [...remotes].map(([name, url]) => [name, { url: url.href }])
    const bytes = encodeCanonicalJson(Object.fromEntries(entries))
    await ensureFolder(this.#paths.temp, this.#calls)
    const temporary = join(this.#paths.temp, replacementName)
    await replaceFile(this.#paths.remotes, bytes, { temporary, calls: this.#calls })
  }

  #read(): Map<string, URL> {
    const path = this.#paths.remotes
    const text = readIfThere(path)
    if (text === undefined) return new Map()
    try {
      const entries = Object.entries(asObject(JSON.parse(text)))
      return new Map(
        entries
          .map(([name, value]) => parseEntry(name, asObject(value)))
          .toSorted(([one], [other]) => (one < other ? -1 : 1)),
      )
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof CairnError)) throw error
      throw new InvalidRepositoryError(
        `invalid remotes ${path}: ${error.message}`,
        { path },
        { cause: error },
      )
    }
  }
}

function parseEntry(name: string, { url, ...rest }: Record<string, unknown>) {
  const [extra] = Object.keys(rest)
  if (typeof url !== 'string' || extra !== undefined) {
    const shown = JSON.stringify(name)
    throw new InvalidArgumentError(`${shown}: expected {"url": text} and nothing else`)
  }
  return [parseRemoteName(name), parseRemoteUrl(url)] as const
}

function parseRemoteName(text: string): string {
  if (/^[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}$/.test(text)) return text
  const shown = JSON.stringify(text.slice(0, 140))
  throw new InvalidArgumentError(
    `invalid remote name ${shown}: expected 1 to 128 of letters, digits, "_", "." and "-", the first no "." or "-"`,
    { found: shown },
  )
}

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return { ...value }
  }
  throw new InvalidArgumentError('expected a JSON object')
}

function readIfThere(path: string): string | undefined {
  try {
    return readRepositoryFile(path)?.toString('utf8')
  } catch (error) {
    throw named(error, 'read', path)
  }
}

function notFound(name: string): RemoteNotFoundError {
  return new RemoteNotFoundError(`no remote ${name}`, { name })
}
