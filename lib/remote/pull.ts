import { WrongObjectTypeError } from '../errors.js'
import type { Descriptor } from '../object/descriptor.js'
import { algorithmOf } from '../object/digest.js'
import { parseTagName, type TagName } from '../object/tag-name.js'
import type { Repository } from '../repository/repository.js'
import type { TagChange } from '../repository/tag-store.js'
import type { ReceiveLimits } from './receive-limits.js'
import type { RemoteObjectStore, TransferOptions } from './remote-object-store.js'
import { pullVersion2 } from './version2/pull-version2.js'

/** What to pull, and how. */
export type PullOptions = TransferOptions &
  Pick<TagChange, 'expected' | 'who' | 'message' | 'wait'> & {
    /** The remote's tag. */
    readonly tag: string
    /** The tag to set here; the same name by default. */
    readonly as?: string
    readonly limits?: Partial<ReceiveLimits>
  }

/** What a pull did. */
export type PullResult = {
  readonly tag: TagName
  readonly application: Descriptor
  /** The application was here already: nothing was transferred. */
  readonly upToDate: boolean
  readonly objects: number
  readonly bytes: number
}

/**
 * Fetches the application that a tag of the remote names, and tags it here.
 *
 * It keeps its own digest, whatever the repository's algorithm. The tag moves last: on an
 * error it still names what it did. Throws what RemoteObjectStore and TagStore throw.
 */
export async function pull(
  remote: RemoteObjectStore,
  repository: Repository,
  options: PullOptions,
): Promise<PullResult> {
  const { tag, as = tag, expected, who, wait, progress, signal, limits } = options
  const client = await remote.findVersion2(signal)
  if (client !== undefined) return pullVersion2(client, repository, options)
  const name = parseTagName(as)
  const watched = signal === undefined ? {} : { signal }
  const locking = { ...watched, ...(wait === undefined ? {} : { wait }) }
  const application = await remote.getTag(tag, watched)
  const { digest, type } = application
  if (type !== 'application') {
    throw new WrongObjectTypeError(
      `tag "${tag}" at ${remote.url.href} names no application: found ${type} ${digest}`,
      { digest, expected: 'application', found: type },
    )
  }
  await using session = await repository.begin({
    purpose: 'pull',
    publishing: 'gradual',
    algorithm: algorithmOf(digest),
    ...locking,
  })
  const [present] = await session.objects.stat([digest])
  const upToDate = present?.type === type && present.size === application.size
  const received = upToDate
    ? { objects: 0, bytes: 0 }
    : await remote.fetch(application, session.objects, {
        published: repository.objects,
        ...watched,
        ...(progress === undefined ? {} : { progress }),
        ...(limits === undefined ? {} : { limits }),
      })
  await repository.tags.set(name, application, {
    message: options.message ?? `pull of ${tag} from ${remote.url.href}`,
    ...locking,
    ...(expected === undefined ? {} : { expected }),
    ...(who === undefined ? {} : { who }),
  })
  return { tag: name, application, upToDate, ...received }
}
