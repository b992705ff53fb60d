import { isIPv6 } from 'node:net'
import { RateLimitedError } from '../../lib/errors.js'

/** How many wrong credentials an address may send. */
export type FailedLoginLimits = {
  readonly attempts: number
  readonly windowMs: number
  /** Addresses that are remembered; the one that failed longest ago goes first. */
  readonly addresses: number
}

const defaults: FailedLoginLimits = { attempts: 10, windowMs: 60_000, addresses: 10_000 }

/** Counts wrong credentials by address, and refuses more of them for a while. */
export class FailedLogins {
  readonly #limits: FailedLoginLimits
  /** In order of the last failure. */
  readonly #failures = new Map<string, { count: number; until: number }>()

  constructor(limits: Partial<FailedLoginLimits> = {}) {
    this.#limits = { ...defaults, ...limits }
  }

  /** Throws RateLimitedError when an address has failed too often. */
  check(address: string, now = performance.now()): void {
    const found = this.#failures.get(keyOf(address))
    if (found === undefined || now >= found.until) return
    if (found.count < this.#limits.attempts) return
    const seconds = Math.ceil((found.until - now) / 1000)
    throw new RateLimitedError(
      `too many wrong credentials: expected at most ${this.#limits.attempts} in ` +
        `${this.#limits.windowMs} ms, try again in ${seconds} s`,
      { retryAfterSeconds: seconds },
    )
  }

  /** Notes wrong credentials. */
  add(address: string, now = performance.now()): void {
    const key = keyOf(address)
    const found = this.#failures.get(key)
    this.#failures.delete(key)
    const isOld = found === undefined || now >= found.until
    const count = isOld ? 1 : found.count + 1
    const until = isOld ? now + this.#limits.windowMs : found.until
    this.#failures.set(key, { count, until })
    if (this.#failures.size <= this.#limits.addresses) return
    for (const oldest of this.#failures.keys()) {
      this.#failures.delete(oldest)
      return
    }
  }
}

// Who has one address of IPv6 has all of its last 64 bits.
function keyOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.replace(/%.*$/, '').split('::')
  const groups = head === '' ? [] : head.split(':')
  const rest = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - rest.length)
  const all = [...groups, ...Array.from({ length: zeros }, () => '0'), ...rest]
  return all
    .slice(0, 4)
    .map(group => Number.parseInt(group, 16).toString(16))
    .join(':')
}
