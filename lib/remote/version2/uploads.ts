import { createHash } from 'node:crypto'
import { BusyError, LockBusyError, RefNotFoundError } from '../../errors.js'
import { encodeDescriptor } from '../../object/descriptor.js'
import type { Repository } from '../../repository/repository.js'
import { findLeftPacks } from '../../store/pack/left-packs.js'
import { loadZstd, type Zstd } from '../../store/pack/zstd.js'
import type { MemoryBudget } from '../memory-budget.js'
import type { ReceiveLimits } from '../receive-limits.js'
import { adoptLeft } from './adopt-left.js'
import { PackReceiver } from './receive-pack.js'
import { Upload, type UploadOwner } from './upload.js'

/** What one upload may bring and hold. */
export type UploadOptions = {
  readonly receive?: Partial<ReceiveLimits>
  readonly memory?: MemoryBudget
  /** Uploads that one principal may have open. */
  readonly openOfPrincipal?: number
}

/** Bounds of all uploads. */
export type UploadLimits = {
  /** Uploads that are open at once. */
  readonly open: number
  /** Milliseconds without a request until an upload lets go of what it holds. */
  readonly idleMs: number
}

type OpenUpload = { readonly principal: string; readonly upload: Promise<Upload> }

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
  readonly #open = new Map<string, OpenUpload>()
  #zstd: Promise<Zstd> | undefined

  constructor(limits: Partial<UploadLimits> = {}) {
    this.#limits = { ...defaultLimits, ...limits }
  }

  /** Opens the upload of a root, a new one or the one that was left. */
  async open(
    repository: Repository,
    owner: UploadOwner,
    options: UploadOptions = {},
  ): Promise<Upload> {
    const id = idOf(owner)
    const key = `${repository.root}\n${id}`
    const running = await this.#open.get(key)?.upload
    if (running !== undefined && !running.isTaken) return running
    await running?.cutOff()
    const begun = this.#open.get(key)
    if (begun !== undefined) return begun.upload
    this.#checkOpen(owner, options)
    const { principal } = owner
    const opened = {
      principal,
      upload: this.#start(repository, owner, { ...options, id, key }),
    }
    this.#open.set(key, opened)
    try {
      return await opened.upload
    } catch (error) {
      this.#open.delete(key)
      throw error
    }
  }

  /** Finds an open upload by its id; to all but its principal there is none. */
  async find(
    repository: Repository,
    id: string,
    { principal, known }: Omit<UploadOwner, 'root'>,
  ): Promise<Upload> {
    const upload = await this.#open.get(`${repository.root}\n${id}`)?.upload
    const owner = upload?.owner
    if (upload === undefined || owner?.principal !== principal || owner.known !== known) {
      throw new RefNotFoundError(`no upload ${id}`, { ref: id })
    }
    return upload
  }

  /** Lets go of all uploads; what they received is kept. */
  async [Symbol.asyncDispose](): Promise<void> {
    const opened = [...this.#open.values()].map(async ({ upload }) => upload)
    const uploads = await Promise.allSettled(opened)
    for (const upload of uploads) {
      if (upload.status === 'fulfilled') await upload.value[Symbol.asyncDispose]()
    }
  }

  #checkOpen({ principal }: UploadOwner, { openOfPrincipal = Infinity }: UploadOptions) {
    const { open } = this.#limits
    if (this.#open.size >= open) {
      throw new BusyError(`too many uploads: expected at most ${open}`, { limit: open })
    }
    const own = [...this.#open.values()].filter(one => one.principal === principal)
    if (own.length < openOfPrincipal) return
    throw new BusyError(
      `too many uploads of ${principal}: expected at most ${openOfPrincipal}`,
      { limit: openOfPrincipal },
    )
  }

  async #start(
    repository: Repository,
    owner: UploadOwner,
    { id, key, receive, memory }: UploadOptions & { id: string; key: string },
  ): Promise<Upload> {
    const { idleMs } = this.#limits
    const { root } = owner
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
        known: owner.known,
        ...(receive && { limits: receive }),
        ...(memory && { memory }),
      })
      receiver.checkTree(root)
      if (left) await adoptLeft(left, receiver, { published, zstd, maximum: 0 })
      return new Upload({
        id,
        owner,
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
function idOf({ principal, root, known }: UploadOwner): string {
  const hash = createHash('sha256').update(`${known} ${principal.length} ${principal} `)
  return hash.update(encodeDescriptor(root)).digest('hex')
}
