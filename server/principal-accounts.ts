import { BusyError } from '../lib/errors.js'
import type { Principal } from './access.js'
import { ByteRate } from './byte-rate.js'

/** What one principal may use at a time. */
export type PrincipalLimits = {
  readonly transfersPerPrincipal: number
  /** Of all his transfers together; his own rate goes before it. */
  readonly bytesPerSecond?: number
}

/** A transfer on its principal's account; disposing ends it. */
export type AccountedTransfer = Disposable & {
  /** Waits until that many bytes may pass. */
  readonly pass: (bytes: number, signal?: AbortSignal) => Promise<void>
}

type Account = { transfers: number; readonly rate: ByteRate | undefined }

/** Keeps count of what principals use; strangers count by their address. */
export class PrincipalAccounts {
  readonly #accounts = new Map<string, Account>()

  /** How many principals use something now. */
  get count(): number {
    return this.#accounts.size
  }

  /** Begins a transfer; throws BusyError when the principal has too many. */
  begin(
    principal: Principal,
    address: string,
    { transfersPerPrincipal, bytesPerSecond }: PrincipalLimits,
  ): AccountedTransfer {
    const key = principal.anonymous ? `anonymous ${address}` : principal.name
    const perSecond = principal.rateBytesPerSecond ?? bytesPerSecond
    const account = this.#accounts.get(key) ?? {
      transfers: 0,
      rate: perSecond === undefined ? undefined : new ByteRate(perSecond),
    }
    if (account.transfers >= transfersPerPrincipal) {
      throw new BusyError(
        `too many transfers of ${key}: expected at most ${transfersPerPrincipal}`,
        { limit: transfersPerPrincipal },
      )
    }
    account.transfers += 1
    this.#accounts.set(key, account)
    let isOpen = true
    return {
      pass: async (bytes, signal) => account.rate?.pass(bytes, signal),
      [Symbol.dispose]: () => {
        if (!isOpen) return
        isOpen = false
        account.transfers -= 1
        if (account.transfers === 0) this.#accounts.delete(key)
      },
    }
  }
}
