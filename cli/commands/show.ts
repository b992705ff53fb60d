import type { Descriptor } from '../../lib/object/descriptor.js'
import { algorithmOf, type Digest } from '../../lib/object/digest.js'
import { escapeBytes } from '../../lib/object/escape.js'
import { describeObject } from '../../lib/repository/describe-object.js'
import type { Repository } from '../../lib/repository/repository.js'
import { resolveTreePath, type TreeNode } from '../../lib/tree/tree-path.js'
import { resolveApplication } from '../application-ref.js'
import type { CommandContext } from '../context.js'
import { objectMembers } from '../documents.js'
import { splitRefPath } from '../ref-path.js'
import { type Shown, showContent, showHeader } from '../shown-object.js'
import { counted, formatBytes, formatTable, printable } from '../text.js'

/** `cairn show REF[:PATH]` */
export async function show(context: CommandContext, text: string): Promise<void> {
  const repository = await context.repository()
  const { ref, path } = splitRefPath(text)
  const { document, rows } =
    path === undefined
      ? await showRef(repository, ref)
      : await showEntry(repository, ref, path)
  const printed = rows.map(([name, value]) => [name, printable(value)])
  await context.output.result({ ref, ...document }, formatTable(printed))
}

async function showRef(repository: Repository, ref: string): Promise<Shown> {
  const { digest } = await repository.resolveRef(ref)
  const descriptor = await describeObject(repository.objects, digest)
  const { document, rows } = await showContent(repository.objects, descriptor)
  return {
    document: { ...documentOf(descriptor), ...document },
    rows: [...rowsOf(descriptor), ...rows],
  }
}

async function showEntry(
  repository: Repository,
  ref: string,
  path: Buffer,
): Promise<Shown> {
  const { objects } = repository
  const node = await resolveTreePath(
    objects,
    await resolveApplication(repository, ref),
    path,
  )
  const { document, rows } = showHeader(node.header)
  const descriptor = await describeObject(objects, digestOf(node))
  const content = await showContent(objects, descriptor)
  const isHeader = descriptor.type === 'header'
  const target = node.entry.kind === 'symlink' ? node.entry.target : undefined
  return {
    document: {
      path: escapeBytes(node.path),
      ...documentOf(descriptor),
      ...content.document,
      header: { digest: node.entry.header.digest, ...document },
      ...(target !== undefined && { target: escapeBytes(target) }),
    },
    rows: [
      ['path', `/${escapeBytes(node.path)}`],
      ...rowsOf(descriptor),
      ...content.rows,
      ...(isHeader ? [] : rows),
      ...(target === undefined ? [] : [['target', escapeBytes(target)] as const]),
    ],
  }
}

function digestOf({ entry }: TreeNode): Digest {
  if (entry.kind === 'directory') return entry.directory.digest
  // What has no content has a header.
  return entry.kind === 'regular' ? entry.file.digest : entry.header.digest
}

function documentOf(descriptor: Descriptor): Shown['document'] {
  const { digest } = descriptor
  return { ...objectMembers(descriptor), algorithm: algorithmOf(digest).name }
}

function rowsOf(descriptor: Descriptor): [string, string][] {
  const { digest, type, size, subObjectCount, subObjectsSize } = descriptor
  const rows: [string, string][] = [
    ['type', type],
    ['digest', digest],
    ['algorithm', algorithmOf(digest).name],
    ['size', formatBytes(size)],
  ]
  if (type === 'application' || type === 'directory') {
    const below = `${counted(subObjectCount, 'reference')}, ${formatBytes(subObjectsSize)}`
    rows.push(['below', below])
  }
  return rows
}
