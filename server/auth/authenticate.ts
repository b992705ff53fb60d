import { createHmac, randomBytes } from 'node:crypto'
import { UnauthenticatedError } from '../../lib/errors.js'
import type {
  Authenticator,
  ClientCertificate,
  Credentials,
  Principal,
} from '../access.js'
import { type AccessRule, grantsFor } from './access-rules.js'
import { parseAuthorization } from './authorization-header.js'
import { type FailedLoginLimits, FailedLogins } from './failed-logins.js'
import { principalOf } from './grants.js'
import { PasswordChecker } from './password-checker.js'
import type { PasswordFile } from './password-file.js'
import { isToken } from './token.js'
import type { TokenFile } from './token-file.js'

/** Who is let in, and by what. */
export type AccessPolicy = {
  readonly rules: readonly AccessRule[]
  readonly tokens: TokenFile | undefined
  readonly passwords: PasswordFile | undefined
  /** Counted from the start of the server, whatever is loaded later. */
  readonly failedLogins?: Partial<FailedLoginLimits>
}

const cacheMs = 60_000
const maxCached = 1000

/** Lets principals in by token, password or certificate, and all others as anonymous. */
export class PolicyAuthenticator implements Authenticator, AsyncDisposable {
  #policy: AccessPolicy
  readonly #failures: FailedLogins
  readonly #checker = new PasswordChecker()
  /** Passwords that were right a moment ago, by a keyed hash, with the end of their time. */
  readonly #right = new Map<string, number>()
  readonly #key = randomBytes(32)

  constructor(policy: AccessPolicy) {
    this.#policy = policy
    this.#failures = new FailedLogins(policy.failedLogins)
  }

  /** Replaces the policy for all requests from now on. */
  set policy(policy: AccessPolicy) {
    this.#policy = policy
  }

  /** Passwords that are being checked. */
  get passwordChecks(): number {
    return this.#checker.waiting
  }

  async authenticate(credentials: Credentials): Promise<Principal> {
    const { authorization, address, certificate } = credentials
    const header = parseAuthorization(authorization)
    switch (header.kind) {
      case 'none':
        return this.#withoutHeader(certificate, address)
      case 'bearer':
        return this.#byToken(header.token, address)
      case 'basic':
        // A token can be sent where a client knows names and passwords only.
        return isToken(header.password)
          ? this.#byToken(header.password, address)
          : this.#byPassword(header.user, header.password, address)
      case 'malformed':
        return this.#refuse(address, 'malformed credentials')
      default:
        return header satisfies never
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#checker[Symbol.asyncDispose]()
  }

  #withoutHeader(certificate: ClientCertificate | undefined, address: string): Principal {
    const { rules } = this.#policy
    if (certificate === undefined) {
      const grants = grantsFor(rules, 'anonymous')
      return principalOf('anonymous', grants, { anonymous: true })
    }
    if (certificate.kind === 'untrusted') {
      return this.#refuse(address, 'the certificate is not trusted')
    }
    const { commonName } = certificate
    const grants = grantsFor(rules, 'certificate', commonName)
    return principalOf(`certificate:${commonName}`, grants)
  }

  #byToken(token: string, address: string): Principal {
    const { tokens, rules } = this.#policy
    const record = isToken(token) ? tokens?.find(token) : undefined
    if (record === undefined) {
      return this.#refuse(address, 'wrong, expired or revoked token')
    }
    return principalOf(`token:${record.name}`, [
      record.grant,
      ...grantsFor(rules, 'token'),
    ])
  }

  async #byPassword(user: string, password: string, address: string): Promise<Principal> {
    const { passwords, rules } = this.#policy
    if (passwords === undefined) return this.#refuse(address, 'wrong name or password')
    const { hash, exists } = passwords.hashOf(user)
    const key = createHmac('sha256', this.#key)
      .update(JSON.stringify([user, password, hash]))
      .digest('base64')
    if ((this.#right.get(key) ?? 0) <= performance.now()) {
      this.#failures.check(address)
      const fits = await this.#checker.fits(password, hash)
      if (!fits || !exists) return this.#refuse(address, 'wrong name or password')
      this.#remember(key)
    }
    return principalOf(`user:${user}`, grantsFor(rules, 'user', user))
  }

  #remember(key: string): void {
    this.#right.set(key, performance.now() + cacheMs)
    if (this.#right.size <= maxCached) return
    for (const oldest of this.#right.keys()) {
      this.#right.delete(oldest)
      return
    }
  }

  #refuse(address: string, problem: string): never {
    this.#failures.check(address)
    this.#failures.add(address)
    throw new UnauthenticatedError(problem)
  }
}
