import { escapeBytes, unescapeBytes } from '../lib/object/escape.js'
import type { Mount, SnapshotInfo, SnapshotKind } from '../lib/snapshot/snapshot.js'
import {
  parseSnapshotKey,
  type SnapshotKey,
  showSnapshotKey,
} from '../lib/snapshot/snapshot-key.js'
import type { JsonValue } from './json.js'

const million = 1_000_000n
const kindNames: Readonly<Record<SnapshotKind, string>> = {
  view: 'View',
  active: 'Active',
  committed: 'Committed',
}

/** Reads a key as it is printed: bytes that are no text stand as `\xHH`. */
export function parseKeyArgument(text: string): SnapshotKey {
  return parseSnapshotKey(unescapeBytes(text))
}

/** A snapshot as every document has it. */
export function snapshotMembers(info: SnapshotInfo): {
  readonly [key: string]: JsonValue
} {
  const { name, parent, kind, created, updated, labels } = info
  return {
    key: showSnapshotKey(name),
    parent: parent === '' ? null : showSnapshotKey(parent),
    kind: kindNames[kind],
    created: formatTime(created),
    updated: formatTime(updated),
    labels: Object.fromEntries(labels),
  }
}

/** What a listing says of a snapshot's kind. */
export function kindName(kind: SnapshotKind): string {
  return kindNames[kind]
}

/** Mounts as one would type them, a line each. */
export function mountLines(mounts: readonly Mount[], target: string): string {
  return mounts
    .map(({ type, source, options }) => {
      // mount(8) knows binds by their option alone.
      const kind = type === 'bind' ? '' : ` -t ${type}`
      const flags = options.length === 0 ? '' : ` -o ${options.join(',')}`
      const line = `mount${kind}${flags} ${source} ${target}`
      return `${escapeBytes(Buffer.from(line))}\n`
    })
    .join('')
}

/** Mounts as a document has them. */
export function mountDocument(mounts: readonly Mount[]): JsonValue {
  return mounts.map(({ type, source, options }) => ({ type, source, options }))
}

/** ISO 8601 to the nanosecond. */
function formatTime(time: bigint): string {
  const seconds = new Date(Number(time / million)).toISOString().slice(0, -5)
  const nanoseconds = String(time % (1000n * million)).padStart(9, '0')
  return `${seconds}.${nanoseconds}Z`
}
