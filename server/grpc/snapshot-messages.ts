import { InvalidArgumentError } from '../../lib/errors.js'
import type { Labels, SnapshotInfo, SnapshotKind } from '../../lib/snapshot/snapshot.js'
import { parseSnapshotKey, snapshotKeyBytes } from '../../lib/snapshot/snapshot-key.js'
import type { InfoMessage, LabelMessage, TimestampMessage } from './snapshot-protocol.js'

const billion = 1_000_000_000n
const kindNumbers: Readonly<Record<SnapshotKind, number>> = {
  view: 1,
  active: 2,
  committed: 3,
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function infoMessage(info: SnapshotInfo): InfoMessage {
  return {
    name: snapshotKeyBytes(info.name),
    parent: snapshotKeyBytes(info.parent),
    kind: kindNumbers[info.kind],
    created_at: timestampMessage(info.created),
    updated_at: timestampMessage(info.updated),
    labels: labelMessages(info.labels),
  }
}

/** Throws InvalidArgumentError for an unknown kind. */
export function parseInfo(message: InfoMessage): SnapshotInfo {
  return {
    name: parseSnapshotKey(message.name),
    parent: parseSnapshotKey(message.parent),
    kind: parseKind(message.kind),
    created: parseTimestamp(message.created_at),
    updated: parseTimestamp(message.updated_at),
    labels: parseLabels(message.labels),
  }
}

export function labelMessages(labels: Labels): LabelMessage[] {
  return [...labels].map(([key, value]) => ({
    key: Buffer.from(key),
    value: Buffer.from(value),
  }))
}

/** Of a key that comes twice the last value holds; throws InvalidArgumentError. */
export function parseLabels(messages: readonly LabelMessage[]): Labels {
  return new Map(
    messages.map(({ key, value }) => [
      parseText(key, 'a label'),
      parseText(value, 'the value of a label'),
    ]),
  )
}

/** Reads UTF-8; throws InvalidArgumentError for anything else. */
export function parseText(bytes: Buffer, what: string): string {
  try {
    return decoder.decode(bytes)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new InvalidArgumentError(`${what} is no UTF-8`, {}, { cause: error })
  }
}

function timestampMessage(time: bigint): TimestampMessage {
  const nanos = ((time % billion) + billion) % billion
  return { seconds: Number((time - nanos) / billion), nanos: Number(nanos) }
}

function parseTimestamp(message: TimestampMessage | null): bigint {
  return message === null ? 0n : BigInt(message.seconds) * billion + BigInt(message.nanos)
}

function parseKind(number: number): SnapshotKind {
  for (const kind of ['view', 'active', 'committed'] as const) {
    if (kindNumbers[kind] === number) return kind
  }
  throw new InvalidArgumentError(`unknown kind of snapshot: found ${number}`)
}
