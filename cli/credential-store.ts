import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { InvalidArgumentError } from '../lib/errors.js'
import { encodeCanonicalJson } from '../lib/repository/canonical-json.js'
import { ensureFolder, replaceFile } from '../lib/repository/durable-file.js'
import { naming } from '../lib/repository/system-failure.js'
import { isErrno } from '../lib/system/errno.js'
import { systemFileCalls } from '../lib/system/file-calls.js'

/**
 * What this user shows to servers: one file, mode 0600, of addresses and the values of
 * Authorization headers. An address covers the paths below it on the same host and port.
 */
export class CredentialStore {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  /** What to show to an address: that of the longest one that covers it. */
  find(url: URL): string | undefined {
    const covering = Object.entries(this.#read())
      .filter(([address]) => covers(new URL(address), url))
      .toSorted(([one], [other]) => other.length - one.length)
    return covering[0]?.[1]
  }

  /** Keeps what to show to an address, durably. */
  async set(url: URL, authorization: string): Promise<void> {
    await this.#write({ ...this.#read(), [keyOf(url)]: authorization })
  }

  /** Forgets what was shown to an address; false when there was nothing. */
  async remove(url: URL): Promise<boolean> {
    const { [keyOf(url)]: found, ...rest } = this.#read()
    if (found === undefined) return false
    await this.#write(rest)
    return true
  }

  async #write(credentials: Readonly<Record<string, string>>): Promise<void> {
    await naming('write', this.path, async () => {
      await ensureFolder(dirname(this.path), systemFileCalls)
      await replaceFile(this.path, encodeCanonicalJson({ credentials }), {
        temporary: `${this.path}.new`,
        calls: systemFileCalls,
      })
    })
  }

  #read(): Record<string, string> {
    const text = readIfThere(this.path)
    if (text === undefined) return {}
    const credentials: unknown = parse(text, this.path)
    const entries = Object.entries(Object(credentials) as Record<string, unknown>)
    return Object.fromEntries(
      entries.map(([address, value]) => {
        if (URL.canParse(address) && typeof value === 'string') return [address, value]
        throw invalid(this.path)
      }),
    )
  }
}

function keyOf(url: URL): string {
  return `${url.origin}${url.pathname.replace(/\/$/, '')}`
}

function covers(address: URL, url: URL): boolean {
  const path = address.pathname.replace(/\/$/, '')
  return (
    address.origin === url.origin &&
    (url.pathname === path || url.pathname.startsWith(`${path}/`))
  )
}

function parse(text: string, path: string): unknown {
  try {
    return Object(JSON.parse(text))['credentials']
  } catch (error) {
    // What it says would show what the file holds.
    if (error instanceof SyntaxError) throw invalid(path)
    throw error
  }
}

function invalid(path: string): InvalidArgumentError {
  return new InvalidArgumentError(
    `invalid credentials ${path}: expected {"credentials": {ADDRESS: TEXT}}`,
    { path },
  )
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
