import { InvalidArgumentError, WrongObjectTypeError } from '../errors.js'
import { applicationTotals } from '../object/application.js'
import type { Descriptor } from '../object/descriptor.js'
import { parseTagName, type TagName } from '../object/tag-name.js'
import type { Repository } from '../repository/repository.js'
import type { ResolvedRef } from '../repository/resolve-ref.js'
import { getApplication } from '../store/typed-object.js'
import type { RemoteObjectStore, TransferOptions } from './remote-object-store.js'
import { pushVersion2 } from './version2/push-version2.js'

/** What to push, and how. */
export type PushRequest = TransferOptions & {
  /** What to push: anything that Repository.resolveRef takes, naming an application. */
  readonly ref: string
  /** The tag that the remote shall set; by default the tag that `ref` is. */
  readonly as?: string
}

/** What a push did. */
export type PushResult = {
  readonly tag: TagName
  readonly application: Descriptor
  /** The remote had the application already: nothing was transferred. */
  readonly upToDate: boolean
  readonly objects: number
  readonly bytes: number
}

/**
 * Pushes an application to a remote, which tags it there.
 *
 * Throws InvalidArgumentError when `ref` is no tag and `as` is missing, InvalidTagNameError,
 * WrongObjectTypeError for anything but an application, and what Repository.resolveRef and
 * RemoteObjectStore.push throw.
 */
export async function push(
  remote: RemoteObjectStore,
  repository: Repository,
  options: PushRequest,
): Promise<PushResult> {
  const { ref, as, progress, signal } = options
  const wanted = as === undefined ? undefined : parseTagName(as)
  const resolved = await repository.resolveRef(ref)
  const tag = wanted ?? tagOf(resolved, ref)
  const application = await describeApplication(repository, resolved)
  const client = await remote.findVersion2(signal)
  if (client !== undefined) {
    const { settleTimeoutMs } = remote
    const watched = { ...(progress && { progress }), ...(signal && { signal }) }
    const what = { application, tag, settleTimeoutMs, ...watched }
    const sent = await pushVersion2(client, repository, what)
    return { tag, application, upToDate: sent.objects === 0, ...sent }
  }
  const pushed = await remote.push(application, repository.objects, {
    tag,
    ...(progress === undefined ? {} : { progress }),
    ...(signal === undefined ? {} : { signal }),
  })
  return { tag, application, upToDate: pushed.objects === 0, ...pushed }
}

// A prefix of a digest could be a tag's name, but nobody means it as one.
function tagOf({ tag }: ResolvedRef, ref: string): TagName {
  if (tag !== undefined && tag === ref) return tag
  throw new InvalidArgumentError(
    `${ref} is no tag: say which tag to set there (--as TAG)`,
    { ref },
  )
}

async function describeApplication(
  repository: Repository,
  { digest, type }: ResolvedRef,
): Promise<Descriptor> {
  if (type !== 'application') {
    throw new WrongObjectTypeError(
      `only applications can be pushed: expected application, found ${type} ${digest}`,
      { digest, expected: 'application', found: type },
    )
  }
  const application = await getApplication(repository.objects, digest)
  const [info] = await repository.objects.stat([digest])
  return { digest, type, size: info?.size ?? 0, ...applicationTotals(application) }
}
