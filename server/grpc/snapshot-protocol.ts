import { fileURLToPath } from 'node:url'
import type { ServiceDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

export type LabelMessage = { readonly key: Buffer; readonly value: Buffer }

type MountMessage = {
  readonly type: string
  readonly source: string
  readonly target: string
  readonly options: readonly string[]
}

/** Seconds come as text, since they may be beyond what a number holds. */
export type TimestampMessage = {
  readonly seconds: string | number
  readonly nanos: number
}

export type InfoMessage = {
  readonly name: Buffer
  readonly parent: Buffer
  readonly kind: number
  readonly created_at: TimestampMessage | null
  readonly updated_at: TimestampMessage | null
  readonly labels: readonly LabelMessage[]
}

/** What each call takes and answers. `snapshotter` names the plugin, and says nothing here. */
export type SnapshotCalls = {
  Prepare: { request: NewSnapshotMessage; response: MountsMessage }
  View: { request: NewSnapshotMessage; response: MountsMessage }
  Mounts: { request: KeyMessage; response: MountsMessage }
  Commit: {
    request: {
      readonly name: Buffer
      readonly key: Buffer
      readonly labels: readonly LabelMessage[]
      readonly parent: Buffer
    }
    response: EmptyMessage
  }
  Remove: { request: KeyMessage; response: EmptyMessage }
  Stat: { request: KeyMessage; response: { readonly info: InfoMessage } }
  Update: {
    request: {
      readonly info: InfoMessage | null
      readonly update_mask: { readonly paths: readonly string[] } | null
    }
    response: { readonly info: InfoMessage }
  }
  Usage: {
    request: KeyMessage
    response: { readonly size: string | number; readonly inodes: string | number }
  }
  Cleanup: { request: EmptyMessage; response: EmptyMessage }
}

export type ListRequestMessage = { readonly filters: readonly Buffer[] }
export type ListResponseMessage = { readonly info: readonly InfoMessage[] }

type KeyMessage = { readonly key: Buffer }
type MountsMessage = { readonly mounts: readonly MountMessage[] }
type EmptyMessage = Readonly<Record<string, never>>
type NewSnapshotMessage = KeyMessage & {
  readonly parent: Buffer
  readonly labels: readonly LabelMessage[]
}

/** Bytes of the largest message, as containerd has it. */
export const maxMessageBytes = 16 * 1024 * 1024

const serviceName = 'containerd.services.snapshots.v1.Snapshots'
const path = fileURLToPath(import.meta.resolve('#snapshots.proto'))

/** Reads the definition of the service, which is shipped beside the program. */
export function loadSnapshotService(): ServiceDefinition {
  const definitions = loadSync(path, {
    keepCase: true,
    longs: String,
    enums: Number,
    defaults: true,
  })
  const service = definitions[serviceName]
  if (service === undefined || 'format' in service) {
    throw new Error(`no service ${serviceName} in ${path}`)
  }
  return service
}
