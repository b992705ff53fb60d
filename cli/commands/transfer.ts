import type { Descriptor } from '../../lib/object/descriptor.js'
import { ProgressMeter } from '../../lib/remote/progress-meter.js'
import { RemoteObjectStore } from '../../lib/remote/remote-object-store.js'
import { parseRemoteUrl } from '../../lib/repository/remote-url.js'
import type { CommandContext } from '../context.js'
import { objectMembers } from '../documents.js'
import { counted, formatBytes } from '../text.js'

/** What push and pull have in common. */
export type TransferFlags = { readonly as?: string; readonly protocol?: '1' }

/** The remote's name or URL, and a tag. */
export type TransferPlace = { readonly remote: string; readonly tag: string }

/** What a transfer ended with. */
export type TransferResult = {
  readonly tag: string
  readonly application: Descriptor
  readonly upToDate: boolean
  readonly objects: number
  readonly bytes: number
}

const readMilliseconds = 100

/** Opens a remote by its name or URL; the caller disposes it. */
export async function openRemote(
  context: CommandContext,
  remote: string,
  flags: Pick<TransferFlags, 'protocol'> = {},
): Promise<RemoteObjectStore> {
  // No name of a remote holds a colon, every URL does, and needs no repository here.
  const url = remote.includes(':')
    ? parseRemoteUrl(remote)
    : (await (await context.repository()).remotes.get(remote)).url
  return openUrl(context, url, flags)
}

/** Opens a remote by its URL, with what is known for its host; the caller disposes it. */
export async function openUrl(
  context: CommandContext,
  url: URL,
  { protocol }: Pick<TransferFlags, 'protocol'> = {},
): Promise<RemoteObjectStore> {
  const authorization = await findAuthorization(context, url)
  return new RemoteObjectStore(url, {
    ...(authorization !== undefined && { authorization }),
    ...(protocol === '1' && { protocol: 'version1' }),
  })
}

async function findAuthorization(
  context: CommandContext,
  url: URL,
): Promise<string | undefined> {
  const { token } = context.settings
  if (token !== undefined) return `Bearer ${token}`
  return (await context.credentials()).find(url)
}

/** Runs a transfer while its progress is shown, and prints what it did. */
export async function runTransfer(
  context: CommandContext,
  label: string,
  remote: RemoteObjectStore,
  transfer: (meter: ProgressMeter) => Promise<TransferResult>,
): Promise<void> {
  const meter = new ProgressMeter()
  const result = await watched(context, label, meter, async () => transfer(meter))
  const { tag, application, upToDate } = result
  const { objects, bytes } = meter.snapshot()
  context.output.note(
    upToDate
      ? `nothing to transfer; ${tag} names ${application.digest}`
      : `transferred ${counted(result.objects, 'object')}, ${formatBytes(result.bytes)}; ` +
          `${tag} names ${application.digest}`,
  )
  context.output.detail(
    `${counted(objects.skipped, 'reference')} of ${formatBytes(bytes.skipped)} ` +
      'led to what was there already',
  )
  await context.output.result(
    {
      url: remote.url.href,
      tag,
      ...objectMembers(application),
      upToDate,
      transferred: { objects: result.objects, bytes: result.bytes },
      skipped: { objects: objects.skipped, bytes: bytes.skipped },
    },
    '',
  )
}

async function watched<Result>(
  context: CommandContext,
  label: string,
  meter: ProgressMeter,
  work: () => Promise<Result>,
): Promise<Result> {
  using progress = context.output.progress(label, 'reference')
  const show = (): void => {
    const { objects, bytes } = meter.snapshot()
    if (objects.total === 0) return
    progress.update({
      objects: objects.transferred + objects.skipped,
      totalObjects: objects.total,
      bytes: bytes.transferred + bytes.skipped,
      totalBytes: bytes.total,
    })
  }
  const timer = setInterval(show, readMilliseconds)
  try {
    return await work()
  } finally {
    clearInterval(timer)
    show()
  }
}
