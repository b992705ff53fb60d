import { readFixture } from './fixture-file.js'

/** What one side sent in a row, or that it closed. */
export type TranscriptEvent =
  | { readonly kind: 'data'; readonly from: Side; readonly bytes: Buffer }
  | { readonly kind: 'end'; readonly from: Side }

/** Who sent something. */
export type Side = 'client' | 'server'

/** One recorded run: the events of every connection, in order. */
export type Transcript = {
  readonly name: string
  readonly connections: readonly (readonly TranscriptEvent[])[]
  /** What the two repositories held; tags by name with the bytes of their files. */
  readonly serverAfter: RecordedRepository
  readonly clientAfter: RecordedRepository | undefined
}

/** A repository at the end of a recording. */
type RecordedRepository = {
  readonly objects: number
  readonly tags: ReadonlyMap<string, Buffer>
}

/** Every recording of fixtures/golden. */
export const transcriptNames = [
  'fetch-empty',
  'fetch-uptodate',
  'get-tag-absent',
  'get-tag-present',
  'list-tags',
  'push-empty',
  'push-present',
  'push-some',
  'unknown-service',
] as const

/** Loads `wire-<name>.json`. */
export function loadTranscript(name: (typeof transcriptNames)[number]): Transcript {
  const recorded = readFixture(`golden/wire-${name}.json`) as RecordedTranscript
  return {
    name: recorded.name,
    connections: recorded.connections.map(events =>
      events.map(([, side, data]): TranscriptEvent => {
        const from = side === 'c' ? 'client' : 'server'
        return data === 'EOF'
          ? { kind: 'end', from }
          : { kind: 'data', from, bytes: Buffer.from(data, 'hex') }
      }),
    ),
    serverAfter: repositoryOf(recorded.server_after),
    clientAfter:
      recorded.client_after === undefined
        ? undefined
        : repositoryOf(recorded.client_after),
  }
}

/** All bytes that one side of a connection sent. */
export function bytesFrom(events: readonly TranscriptEvent[], side: Side): Buffer {
  return Buffer.concat(
    events.flatMap(event =>
      event.kind === 'data' && event.from === side ? [event.bytes] : [],
    ),
  )
}

type RecordedTranscript = {
  readonly name: string
  readonly connections: readonly (readonly (readonly [number, 'c' | 's', string])[])[]
  readonly server_after: RecordedState
  readonly client_after?: RecordedState
}

type RecordedState = {
  readonly objects: number
  readonly tags: Readonly<Record<string, string>>
}

function repositoryOf({ objects, tags }: RecordedState): RecordedRepository {
  return {
    objects,
    tags: new Map(
      Object.entries(tags).map(([name, hex]) => [name, Buffer.from(hex, 'hex')]),
    ),
  }
}
