import type { IncomingMessage } from 'node:http'
import { AccessRefusedError, UnauthenticatedError } from '../lib/errors.js'
import type { Action, Authenticator, Principal } from './access.js'
import { findClientCertificate } from './tls.js'

/** How requests are admitted. */
export type AdmissionOptions = {
  /** Without one, everyone is a stranger who may pull, and push unless that is refused. */
  readonly authenticator: Authenticator | undefined
  readonly readOnly: boolean
  /** Why strangers may not push, if they may not. */
  readonly strangersRefusal: () => string | undefined
}

/** Finds out who makes a request, and lets him do what he may. */
export class Admission {
  readonly #options: AdmissionOptions

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  /** Throws UnauthenticatedError, RateLimitedError. */
  async authenticate(request: IncomingMessage): Promise<Principal> {
    const { authenticator, strangersRefusal } = this.#options
    if (authenticator === undefined) return stranger(strangersRefusal)
    return authenticator.authenticate({
      authorization: request.headers.authorization,
      address: request.socket.remoteAddress ?? 'unknown',
      certificate: findClientCertificate(request),
    })
  }

  /**
   * Throws AccessRefusedError for what a principal may not do, or UnauthenticatedError when
   * he could show who he is; alike whether or not there is such a repository.
   */
  require(principal: Principal, action: Action, repositoryPath: string): void {
    const { authenticator, readOnly, strangersRefusal } = this.#options
    if (readOnly && action !== 'pull' && action !== 'admin') {
      throw new AccessRefusedError('this server is read-only')
    }
    if (principal.may(action, repositoryPath)) return
    if (authenticator === undefined) {
      throw new AccessRefusedError(strangersRefusal() ?? `nobody may ${action} here`)
    }
    if (principal.anonymous) throw new UnauthenticatedError('credentials are needed')
    throw new AccessRefusedError(`${principal.name} may not ${action} here`, {
      who: principal.name,
      action,
    })
  }

  /** Whether a principal may do something here. */
  may(principal: Principal, action: Action, repositoryPath: string): boolean {
    const { readOnly } = this.#options
    const isRefused = readOnly && action !== 'pull' && action !== 'admin'
    return !isRefused && principal.may(action, repositoryPath)
  }

  /** As require, for one of several actions. */
  requireAny(
    principal: Principal,
    actions: readonly [Action, ...Action[]],
    repositoryPath: string,
  ): void {
    const allowed = actions.find(action => principal.may(action, repositoryPath))
    this.require(principal, allowed ?? actions[0], repositoryPath)
  }

  /** Whether everyone may read a repository, so that caches of others may keep answers. */
  async isPublic(repositoryPath: string): Promise<boolean> {
    const { authenticator } = this.#options
    if (authenticator === undefined) return true
    const anyone = await authenticator.authenticate({
      authorization: undefined,
      address: '',
      certificate: undefined,
    })
    return anyone.may('pull', repositoryPath)
  }
}

function stranger(refusal: () => string | undefined): Principal {
  return {
    name: 'anonymous',
    anonymous: true,
    may: action => {
      if (action === 'pull') return true
      return action !== 'admin' && refusal() === undefined
    },
  }
}
