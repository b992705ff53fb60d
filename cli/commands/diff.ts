import { lstatSync, statSync } from 'node:fs'
import { RefNotFoundError, SourceUnreadableError } from '../../lib/errors.js'
import { algorithmOf, type Digest } from '../../lib/object/digest.js'
import { escapeBytes } from '../../lib/object/escape.js'
import type { Repository } from '../../lib/repository/repository.js'
import type { ObjectReader } from '../../lib/store/object-store.js'
import { getApplication } from '../../lib/store/typed-object.js'
import { isErrno } from '../../lib/system/errno.js'
import { diffTrees, type TreeChange } from '../../lib/tree/diff.js'
import { HashingSession } from '../../lib/tree/source/hashing-session.js'
import { storeApplication } from '../../lib/tree/source/store-application.js'
import { resolveTreePath } from '../../lib/tree/tree-path.js'
import { resolveApplication } from '../application-ref.js'
import type { CommandContext } from '../context.js'
import { describeEntry } from '../entry-document.js'
import type { Row } from '../output.js'

type Side = { readonly reader: ObjectReader; readonly application: Digest }

const differ = 1
const letters = { added: 'A', removed: 'D', changed: 'M' } as const

/** `cairn diff REF REF|DIR` */
export async function diff(
  context: CommandContext,
  ref: string,
  other: string,
): Promise<void> {
  const repository = await context.repository()
  const before = await refSide(repository, ref)
  await using hashing = new HashingSession(algorithmOf(before.application))
  const after =
    (await findRefSide(repository, other)) ??
    (await folderSide(context, other, { before, hashing }))

  let identical = true
  const note = (): void => {
    identical = false
  }
  await context.output.list('changes', rows(context, { before, after, note }), () => ({
    identical,
  }))
  if (!identical) context.finishWith(differ)
}

async function refSide(repository: Repository, ref: string): Promise<Side> {
  const application = await resolveApplication(repository, ref)
  return { reader: repository.objects, application }
}

async function findRefSide(
  repository: Repository,
  text: string,
): Promise<Side | undefined> {
  if (text.includes('/') || text === '.' || text === '..') return undefined
  try {
    return await refSide(repository, text)
  } catch (error) {
    if (error instanceof RefNotFoundError && isThere(text)) return undefined
    throw error
  }
}

function isThere(path: string): boolean {
  try {
    lstatSync(path)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}

async function folderSide(
  context: CommandContext,
  folder: string,
  { before, hashing }: { before: Side; hashing: HashingSession },
): Promise<Side> {
  checkFolder(folder)
  const { extension } = await getApplication(before.reader, before.application)
  using progress = context.output.progress(`reading ${folder}`, 'entry')
  const { descriptor } = await storeApplication(folder, hashing, {
    mtimes: extension?.modificationTimes !== undefined,
    onProgress: ({ entries, bytes }) => progress.update({ objects: entries, bytes }),
    signal: context.signal,
  })
  return { reader: hashing, application: descriptor.digest }
}

function checkFolder(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats?.isDirectory() === true) return
  const found = stats === undefined ? 'nothing there' : 'something else'
  throw new SourceUnreadableError(
    `cannot compare with ${path}: expected a folder, found ${found}`,
    { path, found },
  )
}

async function* rows(
  context: CommandContext,
  { before, after, note }: { before: Side; after: Side; note: () => void },
): AsyncGenerator<Row, void> {
  const one = await resolveTreePath(before.reader, before.application)
  const other = await resolveTreePath(after.reader, after.application)
  const { signal } = context
  const batches = diffTrees(before.reader, one, after.reader, other, { signal })
  for await (const batch of batches) {
    for (const change of batch) {
      note()
      yield describeChange(change)
    }
  }
}

function describeChange(change: TreeChange): Row {
  const path = escapeBytes(change.path)
  const shown = path === '' ? '/' : path
  switch (change.kind) {
    case 'added':
      return {
        text: `${letters.added} ${shown}\n`,
        json: { path, change: 'added', after: describeEntry(change.after) },
      }
    case 'removed':
      return {
        text: `${letters.removed} ${shown}\n`,
        json: { path, change: 'removed', before: describeEntry(change.before) },
      }
    case 'changed':
      return {
        text: `${letters.changed} ${shown} (${change.parts.join(', ')})\n`,
        json: {
          path,
          change: 'changed',
          parts: change.parts,
          before: describeEntry(change.before),
          after: describeEntry(change.after),
        },
      }
    default:
      return change satisfies never
  }
}
