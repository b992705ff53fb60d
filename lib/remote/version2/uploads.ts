import { createHash } from 'node:crypto'
import { LockBusyError, RefNotFoundError } from '../../errors.js'
import { type Descriptor, encodeDescriptor } from '../../object/descriptor.js'
import type { Repository } from '../../repository/repository.js'
import { findLeftPacks } from '../../store/pack/left-packs.js'
import { loadZstd, type Zstd } from '../../store/pack/zstd.js'
import type { ReceiveLimits } from '../receive-limits.js'
import { adoptLeft } from './adopt-left.js'
import { PackReceiver } from './receive-pack.js'
import { Upload } from './upload.js'

/** Whose upload, and of what. */
export type UploadOwner = {
  readonly principal: string
  readonly root: Descriptor
}

/** Bounds of what pushes may bring and hold. */
export type UploadLimits = {
  readonly receive?: Partial<ReceiveLimits>
  /** Uploads that are open at once. */
  readonly open: number
  /** Milliseconds without a request until an upload lets go of what it holds. */
  readonly idleMs: number
}

const defaultLimits: UploadLimits = { open: 256, idleMs: 30_000 }

/**
 * The pushes that a server is receiving.
 *
 * What an upload has received is invisible to everyone else until it is complete. It is
 * kept for a day when its client goes away, also over a restart, and found again by the
 * same principal with the same root.
 */
export class Uploads implements AsyncDisposable {
  readonly #limits: UploadLimits
  readonly #open = new Map<string, Promise<Upload>>()
  #zstd: Promise<Zstd> | undefined

  constructor(limits: Partial<UploadLimits> = {}) {
    this.#limits = { ...defaultLimits, ...limits }
  }

  /** Opens the upload of a root, a new one or the one that was left. */
  async open(repository: Repository, owner: UploadOwner): Promise<Upload> {
    const id = idOf(owner)
    const key = `${repository.root}\n${id}`
    const running = await this.#open.get(key)
    if (running !== undefined && !running.isTaken) return running
    await running?.cutOff()
    if (this.#open.size >= this.#limits.open) {
      throw new LockBusyError(`too many uploads: expected at most ${this.#limits.open}`, {
        limit: this.#limits.open,
      })
    }
    const begun = this.#open.get(key)
    if (begun !== undefined) return begun
    const opened = this.#start(repository, owner, { id, key })
    this.#open.set(key, opened)
    try {
      return await opened
    } catch (error) {
      this.#open.delete(key)
      throw error
    }
  }

  /** Finds an open upload by its id; to all but its principal there is none. */
  async find(repository: Repository, id: string, principal: string): Promise<Upload> {
    const upload = await this.#open.get(`${repository.root}\n${id}`)
    if (upload?.principal !== principal) {
      throw new RefNotFoundError(`no upload ${id}`, { ref: id })
    }
    return upload
  }

  /** Lets go of all uploads; what they received is kept. */
  async [Symbol.asyncDispose](): Promise<void> {
    const uploads = await Promise.allSettled(this.#open.values())
    for (const upload of uploads) {
      if (upload.status === 'fulfilled') await upload.value[Symbol.asyncDispose]()
    }
  }

  async #start(
    repository: Repository,
    { principal, root }: UploadOwner,
    { id, key }: { id: string; key: string },
  ): Promise<Upload> {
    const { receive, idleMs } = this.#limits
    const zstd = async (): Promise<Zstd> => (this.#zstd ??= loadZstd())
    const canKeep = repository.config.layout === 'pack'
    const kept = canKeep
      ? await repository.kept.claim('push', id, { make: true })
      : undefined
    if (canKeep && kept === undefined) {
      throw new LockBusyError(`upload ${id} is in use by another`, { id })
    }
    const left = kept && (await findLeftPacks(kept.path))
    const session = await repository.begin({
      purpose: 'push',
      publishing: 'whole',
      ...(kept && { keepIn: kept.path }),
    })
    try {
      const { objects: published } = repository
      const receiver = new PackReceiver(session.objects, {
        published,
        where: `push of ${root.digest}`,
        zstd,
        ...(receive && { limits: receive }),
      })
      if (left) await adoptLeft(left, receiver, { published, zstd, maximum: 0 })
      return new Upload({
        id,
        principal,
        root,
        repository,
        session,
        receiver,
        idleMs,
        ...(kept && { kept }),
        onEnd: () => void this.#open.delete(key),
      })
    } catch (error) {
      await session[Symbol.asyncDispose]()
      kept?.[Symbol.dispose]()
      throw error
    }
  }
}

// The same push finds its upload again, and nobody learns anything by guessing one.
function idOf({ principal, root }: UploadOwner): string {
  const hash = createHash('sha256').update(`${principal.length} ${principal} `)
  return hash.update(encodeDescriptor(root)).digest('hex')
}
