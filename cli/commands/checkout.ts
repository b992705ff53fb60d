import { join } from 'node:path'
import { escapeBytes } from '../../lib/object/escape.js'
import {
  type CheckoutReport,
  checkout as checkoutTree,
  updateCheckout,
} from '../../lib/tree/checkout/checkout.js'
import { parseOwnerMap } from '../../lib/tree/checkout/owner-map.js'
import { RecordBook } from '../../lib/tree/checkout/update/record-book.js'
import { resolveApplication } from '../application-ref.js'
import type { CommandContext } from '../context.js'
import { refuseRepositoryAt } from '../destination-apart.js'
import { describeLeftOut, leftOutMembers } from '../left-out.js'
import { parseInteger } from '../parse-number.js'
import { type RefPath, splitRefPath } from '../ref-path.js'
import { counted, formatBytes } from '../text.js'

export type CheckoutFlags = {
  readonly force?: boolean
  readonly update?: boolean
  readonly mapOwner?: readonly string[]
  readonly touch?: string
  readonly fsync?: boolean
  /** False with --no-verify. */
  readonly verify?: boolean
}

/** `cairn checkout REF[:PATH] DIR` */
export async function checkout(
  context: CommandContext,
  place: { readonly ref: string; readonly dir: string },
  flags: CheckoutFlags,
): Promise<void> {
  const from = splitRefPath(place.ref)
  const { output } = context
  const { application, report } = await checkoutTo(context, from, place.dir, flags)
  for (const leftOut of report.leftOut) {
    output.warn(`left out ${describeLeftOut(leftOut, output.mode)}`)
  }
  const { entries, files, bytes } = report
  output.note(
    `wrote ${counted(entries, 'entry', 'entries')}, ${counted(files, 'file')} ` +
      `of ${formatBytes(bytes)} to ${place.dir}`,
  )
  await output.result(
    {
      digest: application,
      path: from.path === undefined ? null : escapeBytes(from.path),
      destination: place.dir,
      entries,
      files,
      bytes,
      leftOut: leftOutMembers(report.leftOut),
    },
    '',
  )
}

async function checkoutTo(
  context: CommandContext,
  { ref, path }: RefPath,
  dir: string,
  flags: CheckoutFlags,
): Promise<{ application: string; report: CheckoutReport }> {
  const self = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
  const ownerMap =
    flags.mapOwner === undefined ? undefined : parseOwnerMap(flags.mapOwner, self)
  const touchSeconds =
    flags.touch === undefined ? undefined : parseInteger(flags.touch, '--touch')
  refuseRepositoryAt(dir)
  const repository = await context.repository()
  const application = await resolveApplication(repository, ref)
  using progress = context.output.progress(`checking out ${ref}`, 'entry')
  const run = flags.update === true ? updateCheckout : checkoutTree
  const report = await run(repository.objects, { application, path }, dir, {
    memory: {
      book: new RecordBook(join(repository.cacheFolder, 'checkouts')),
      manner: JSON.stringify([flags.mapOwner ?? [], flags.touch ?? null]),
      onProblem: error => context.output.detail(`not remembered: ${String(error)}`),
    },
    force: flags.force,
    fsync: flags.fsync,
    verifyClones: flags.verify,
    ownerMap,
    touchSeconds,
    onProgress: ({ entries, bytes, totalEntries, totalBytes }) =>
      progress.update({
        objects: entries,
        bytes,
        totalObjects: totalEntries,
        totalBytes,
      }),
    signal: context.signal,
  })
  return { application, report }
}
