import { AccessRefusedError, ProtocolViolationError } from '../errors.js'
import { type Descriptor, sameDescriptor } from '../object/descriptor.js'
import type { TagName } from '../object/tag-name.js'
import type { Repository } from '../repository/repository.js'
import type { TagMove } from '../repository/tag-store.js'
import type { PeerConnection } from './peer-connection.js'
import {
  type ReceiveOptions,
  type ReceiveResult,
  receiveObjects,
} from './receive-objects.js'
import { readPeerDescriptor } from './wire-item.js'

/** How a push is received. */
export type ReceivePushOptions = Omit<ReceiveOptions, 'published' | 'confirm'> & {
  /** The tag that shall name the pushed application. */
  readonly tag?: TagName
  /** Who pushes, for the tag's log. */
  readonly who?: string
  /** What may be done to the tag: by default anything, else it must not be there yet. */
  readonly tagging?: 'any' | 'new'
  /** Hears of the tag's move, before the peer does. */
  readonly onTagged?: (move: TagMove) => Promise<void>
  readonly signal?: AbortSignal
}

/** What a push brought. */
export type ReceivedPush = ReceiveResult & { readonly root: Descriptor }

/**
 * Receives a pushed application into a repository, and tags it (format section 6).
 *
 * Nothing of it is visible to others before its closure is complete; the tag is set after
 * that and before the peer hears done. On an error nothing is kept.
 */
export async function receivePush(
  peer: PeerConnection,
  repository: Repository,
  options: ReceivePushOptions,
): Promise<ReceivedPush> {
  const { tag, who, tagging = 'any', onTagged, signal, ...receiving } = options
  const root = await readPeerDescriptor(peer)
  if (root.type !== 'application') {
    throw new ProtocolViolationError(
      `only applications can be pushed: expected application, found ${root.type} ${root.digest}`,
      { digest: root.digest, expected: 'application', found: root.type },
    )
  }
  const waiting = signal === undefined ? {} : { signal }
  await using session = await repository.begin({
    purpose: 'push',
    publishing: 'whole',
    ...waiting,
  })
  const setTag = async (): Promise<void> => {
    if (tag === undefined) return
    const by = who === undefined ? {} : { who }
    const expected = tagging === 'new' ? { expected: await checkNew(tag) } : {}
    const change = { message: 'push', ...by, ...waiting, ...expected }
    const move = await repository.tags.set(tag, root, change)
    await onTagged?.(move)
  }
  const checkNew = async (name: TagName): Promise<Descriptor | 'absent'> => {
    const found = await repository.tags.find(name)
    if (found === undefined) return 'absent'
    if (sameDescriptor(found, root)) return found
    throw new AccessRefusedError(`tag ${name} may not be moved by this push`, {
      tag: name,
    })
  }
  if (tag !== undefined && tagging === 'new') await checkNew(tag)
  const result = await receiveObjects(peer, root, session.objects, {
    published: repository.objects,
    ...receiving,
    confirm: setTag,
  })
  return { ...result, root }
}
