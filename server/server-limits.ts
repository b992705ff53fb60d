import type { ReceiveLimits } from '../lib/remote/receive-limits.js'

/** What a server lets others use. What is not given is not bounded, or as documented. */
export type ServerLimits = Partial<ReceiveLimits> & {
  /** Upgraded connections at a time; more are answered with status 503. */
  readonly transfers?: number
  /** Of them, pushes. */
  readonly uploads?: number
  /** Of one principal, or one address of strangers. */
  readonly transfersPerPrincipal?: number
  /** Bytes a second of one principal, or one address of strangers. */
  readonly bytesPerSecond?: number
  /** Bytes on disk of one repository. */
  readonly repositoryBytes?: number
  /**
   * Bytes that must be free on the filesystem for a push to begin; by default 64 MiB, or a
   * 64th of a small filesystem.
   */
  readonly freeBytes?: number
}

/** Limits as a server works with them. */
export type EffectiveLimits = Required<
  Pick<ServerLimits, 'transfers' | 'uploads' | 'transfersPerPrincipal'>
> &
  Pick<ServerLimits, 'bytesPerSecond' | 'repositoryBytes' | 'freeBytes'> & {
    readonly receive: Partial<ReceiveLimits>
  }

/** Fills in what was not given. */
export function effectiveLimits(limits: ServerLimits): EffectiveLimits {
  const {
    transfers = 256,
    uploads = 64,
    transfersPerPrincipal = 64,
    freeBytes,
    bytesPerSecond,
    repositoryBytes,
    ...receive
  } = limits
  return {
    transfers,
    uploads,
    transfersPerPrincipal,
    receive,
    ...(freeBytes === undefined ? {} : { freeBytes }),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    ...(repositoryBytes === undefined ? {} : { repositoryBytes }),
  }
}
