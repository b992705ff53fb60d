import { splitDevice } from '../../lib/object/device-number.js'
import { escapeBytes } from '../../lib/object/escape.js'
import { listTree, type TreeEntry } from '../../lib/tree/list.js'
import { resolveTreePath } from '../../lib/tree/tree-path.js'
import { resolveApplication } from '../application-ref.js'
import type { CommandContext } from '../context.js'
import { describeEntry } from '../entry-document.js'
import { formatMode } from '../mode-text.js'
import type { Row } from '../output.js'
import { splitRefPath } from '../ref-path.js'

export type ListFlags = { readonly long?: boolean; readonly recursive?: boolean }

/** `cairn ls REF[:PATH]` */
export async function ls(
  context: CommandContext,
  text: string,
  flags: ListFlags,
): Promise<void> {
  const { ref, path } = splitRefPath(text)
  const repository = await context.repository()
  const application = await resolveApplication(repository, ref)
  const node = await resolveTreePath(repository.objects, application, path)
  const batches = listTree(repository.objects, node, {
    recursive: flags.recursive,
    signal: context.signal,
  })
  // Names as they are below what was asked for, as ls has them; the whole one of a file.
  const prefix =
    node.entry.kind === 'directory' && node.path.length > 0 ? node.path.length + 1 : 0
  await context.output.list('entries', listRows(batches, prefix, flags), () => ({
    digest: application,
    path: escapeBytes(node.path),
  }))
}

async function* listRows(
  batches: AsyncIterable<readonly TreeEntry[]>,
  prefix: number,
  flags: ListFlags,
): AsyncGenerator<Row, void> {
  for await (const batch of batches) {
    for (const entry of batch) {
      const name = escapeBytes(entry.path.subarray(prefix))
      const text = flags.long === true ? longLine(entry, name) : `${name}\n`
      yield { text, json: { path: escapeBytes(entry.path), ...describeEntry(entry) } }
    }
  }
}

function longLine(entry: TreeEntry, name: string): string {
  const { kind, header, target } = entry
  const device = splitDevice(header.rdev)
  const size =
    kind === 'block-device' || kind === 'char-device'
      ? `${device.major}, ${device.minor}`
      : String(entry.size ?? target?.length ?? 0)
  const owner = `${header.uid}:${header.gid}`.padEnd(11)
  const link = target === undefined ? '' : ` -> ${escapeBytes(target)}`
  return `${formatMode(kind, header.mode)} ${owner} ${size.padStart(12)} ${name}${link}\n`
}
