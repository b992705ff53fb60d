import type { Descriptor } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import type { TagName } from '../object/tag-name.js'
import type { MountSet } from './mount-set.js'
import type { TagLogEntry } from './tag-history.js'
import type { TagStore } from './tag-store.js'

/** An application that a repository has to keep, and why. */
export type Root =
  | { readonly kind: 'tag'; readonly name: TagName; readonly descriptor: Descriptor }
  | {
      readonly kind: 'log'
      readonly name: TagName
      /** Of the log entry. */
      readonly sequence: bigint
      readonly descriptor: Descriptor
    }
  | { readonly kind: 'mount'; readonly digest: Digest }

/** Which log entries are roots. */
export type RootOptions = {
  /** Milliseconds: every entry that is younger is a root. Default: 30 days. */
  readonly window?: number
  /** Milliseconds since 1970-01-01 UTC; the present unless told. */
  readonly now?: number
}

/** So many entries of each tag's log are roots whatever their age. */
const keptEntries = 10
const thirtyDays = 30 * 24 * 60 * 60 * 1000

/** The digest of a root. */
export function rootDigest(root: Root): Digest {
  return root.kind === 'mount' ? root.digest : root.descriptor.digest
}

/**
 * Lists the roots of a repository: tags, then of each tag's log the last 10 entries and
 * those within a window, with what they replaced, then mounts.
 *
 * A digest comes once for each reason to keep it. Throws InvalidTagFileError for a tag or
 * a log that cannot be read: what it held might be needed.
 */
export async function* listRoots(
  tags: TagStore,
  mounts: MountSet,
  options: RootOptions = {},
): AsyncGenerator<Root, void> {
  const names = await tags.names()
  for (const name of names) {
    const descriptor = await tags.find(name)
    if (descriptor !== undefined) yield { kind: 'tag', name, descriptor }
  }
  for (const name of new Set([...names, ...(await tags.listLogs())])) {
    yield* rootsOfLog(name, await tags.history(name), options)
  }
  for (const digest of await mounts.list()) yield { kind: 'mount', digest }
}

/** The roots that one tag's log makes, given newest first. */
export function* rootsOfLog(
  name: TagName,
  entries: readonly TagLogEntry[],
  { window = thirtyDays, now = Date.now() }: RootOptions = {},
): Generator<Extract<Root, { kind: 'log' }>, void> {
  const since = BigInt(now - window) * 1_000_000n
  for (const [index, entry] of entries.entries()) {
    if (index >= keptEntries && entry.time < since) continue
    const { sequence } = entry
    for (const descriptor of [entry.new, entry.old]) {
      if (descriptor !== undefined) yield { kind: 'log', name, sequence, descriptor }
    }
  }
}
