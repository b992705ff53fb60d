import {
  AccessRefusedError,
  InvalidArgumentError,
  QuotaExceededError,
  StorageFullError,
  TagConflictError,
  WrongObjectTypeError,
} from '../../errors.js'
import { type Descriptor, sameDescriptor } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import type { KeptFolder } from '../../repository/kept-folders.js'
import type { Repository } from '../../repository/repository.js'
import type { RepositorySession } from '../../repository/repository-session.js'
import type { TagChange, TagMove } from '../../repository/tag-store.js'
import { Bitmap } from '../../store/bitmap.js'
import { StreamBytes } from '../../store/pack/stream-bytes.js'
import type { KnownScope } from '../known-objects.js'
import type { ReceiveResult } from '../receive-objects.js'
import { checkPublishedRoot, incomplete } from './closure-errors.js'
import { decodePushHead, type PushHead } from './push-message.js'
import type { PackReceiver } from './receive-pack.js'
import { takeHead } from './transfer-head.js'

/** Whose upload, and of what. */
export type UploadOwner = {
  readonly principal: string
  readonly root: Descriptor
  /** What need not come: by who may not read here, all that he did not send himself. */
  readonly known: KnownScope
}

/** What an upload is made from. */
export type UploadParts = {
  readonly id: string
  readonly owner: UploadOwner
  readonly repository: Repository
  readonly session: RepositorySession
  readonly kept?: KeptFolder
  readonly receiver: PackReceiver
  readonly idleMs: number
  readonly onEnd: () => void
}

/** What a push brought. */
export type FinishedUpload = ReceiveResult & PushHead

/** How the last pack is received. */
export type FinishOptions = {
  readonly who?: string
  /** What may be done to the tag: by default anything, else it must not be there yet. */
  readonly tagging?: 'any' | 'new'
  /** Hears of the tag's move, before the client does. */
  readonly onTagged?: (move: TagMove) => Promise<void>
  readonly signal?: AbortSignal
  /** Ends the body early: its client has come back on another connection. */
  readonly cutOff: () => void
}

/** One push being received: objects that nobody else sees until it is complete. */
export class Upload implements AsyncDisposable {
  readonly id: string
  readonly owner: UploadOwner
  readonly root: Descriptor
  readonly #parts: UploadParts
  readonly #idle: NodeJS.Timeout
  #turn: Promise<unknown> = Promise.resolve()
  #ended: Promise<void> | undefined
  readonly #cutOff: (() => void)[] = []

  constructor(parts: UploadParts) {
    this.id = parts.id
    this.owner = parts.owner
    this.root = parts.owner.root
    this.#parts = parts
    this.#idle = setTimeout(() => void this.#end({ remove: false }), parts.idleMs)
    this.#idle.unref()
  }

  /** Which objects have to be sent: bit n for digest n. */
  async missing(digests: readonly Digest[]): Promise<Bitmap> {
    return this.#inTurn(async () => {
      const present = await this.#parts.receiver.present(digests)
      const missing = new Bitmap(digests.length)
      for (const index of digests.keys()) if (!present.get(index)) missing.set(index)
      return missing
    })
  }

  /**
   * Receives the last pack of a push, publishes what came, and moves the tag.
   *
   * After an error what was received stays for the next try, unless there is no space.
   */
  async finish(
    body: AsyncIterable<Uint8Array>,
    options: FinishOptions,
  ): Promise<FinishedUpload> {
    this.#cutOff.push(options.cutOff)
    try {
      const finished = await this.#inTurn(async () => this.#receive(body, options))
      await this.#end({ remove: true })
      return finished
    } catch (error) {
      // What is kept must not be what leaves no space for others.
      const isFull =
        error instanceof StorageFullError || error instanceof QuotaExceededError
      await this.#end({ remove: isFull })
      throw error
    }
  }

  /** Whether a pack is coming in, or the upload has ended: then it is of no use. */
  get isTaken(): boolean {
    return this.#cutOff.length > 0 || this.#ended !== undefined
  }

  /** Ends what is coming in, and returns when all that came is kept. */
  async cutOff(): Promise<void> {
    for (const cut of this.#cutOff) cut()
    await this.#end({ remove: false })
  }

  /** Lets go of what the upload holds; what it received is kept. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end({ remove: false })
  }

  async #receive(
    body: AsyncIterable<Uint8Array>,
    options: FinishOptions,
  ): Promise<FinishedUpload> {
    const where = `push of ${this.root.digest}`
    const bytes = new StreamBytes(body, where)
    try {
      const head = decodePushHead(await takeHead(bytes, where), where)
      this.#checkRoot(head.root)
      await this.#expectTag(head, options.tagging)
      await this.#parts.receiver.receive(bytes)
      await this.#publish(head, options)
      return { ...head, ...this.#parts.receiver.result }
    } finally {
      await bytes.close()
    }
  }

  async #publish(
    head: PushHead,
    { who, tagging, onTagged, signal }: FinishOptions,
  ): Promise<void> {
    const { session, repository, receiver } = this.#parts
    const where = `push of ${this.root.digest}`
    // What is published here counts only for who may read it.
    const present = await receiver.present([head.root.digest])
    if (!present.get(0)) throw incomplete(where, head.root)
    const change = await this.#expectTag(head, tagging)
    await session.objects.publish([head.root.digest])
    await checkPublishedRoot(repository.objects, head.root, where)
    if (head.tag !== undefined) {
      const move = await repository.tags.set(head.tag.name, head.root, {
        message: 'push',
        ...change,
        ...(who && { who }),
        ...(signal && { signal }),
      })
      await onTagged?.(move)
    }
  }

  /** What the tag must still name when it moves; throws TagConflictError, AccessRefusedError. */
  async #expectTag(
    { tag, root }: PushHead,
    tagging: FinishOptions['tagging'] = 'any',
  ): Promise<Pick<TagChange, 'expected'>> {
    if (tag === undefined) return {}
    if (tag.expected === undefined && tagging === 'any') return {}
    const current = await this.#parts.repository.tags.find(tag.name)
    const found = current?.digest ?? 'absent'
    if (tag.expected === undefined || found === tag.expected) {
      const stays = current === undefined || sameDescriptor(current, root)
      if (tagging === 'any' || stays) return { expected: current ?? 'absent' }
      throw new AccessRefusedError(`tag ${tag.name} may not be moved by this push`, {
        tag: tag.name,
      })
    }
    throw new TagConflictError(
      `tag ${tag.name} has changed: expected ${tag.expected}, found ${found}`,
      { name: tag.name, expected: tag.expected, found },
    )
  }

  #checkRoot(root: Descriptor): void {
    if (!sameDescriptor(root, this.root)) {
      throw new InvalidArgumentError(
        `upload ${this.id} is for ${this.root.digest}, found ${root.digest}`,
        { expected: this.root.digest, found: root.digest },
      )
    }
    if (root.type !== 'application') {
      throw new WrongObjectTypeError(
        `only applications can be pushed: expected application, found ${root.type} ${root.digest}`,
        { digest: root.digest, expected: 'application', found: root.type },
      )
    }
  }

  async #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#idle.refresh()
    const result = this.#turn.then(work)
    // Whoever waits for this turn gets its error; the next turn only waits for its end.
    this.#turn = result.then(
      () => this.#idle.refresh(),
      () => this.#idle.refresh(),
    )
    return result
  }

  // Whoever goes on opens the upload again, which checks what is there.
  async #end({ remove }: { remove: boolean }): Promise<void> {
    this.#ended ??= this.#close(remove)
    await this.#ended
  }

  async #close(remove: boolean): Promise<void> {
    clearTimeout(this.#idle)
    await this.#turn
    const { session, kept, receiver } = this.#parts
    try {
      await session[Symbol.asyncDispose]()
      // What holds nothing is not worth keeping, however many there are.
      if (remove || receiver.isEmpty) await kept?.remove()
    } finally {
      receiver[Symbol.dispose]()
      kept?.[Symbol.dispose]()
      this.#parts.onEnd()
    }
  }
}
