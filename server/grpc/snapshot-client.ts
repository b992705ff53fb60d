import {
  Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js'
import type { Labels, Mount, SnapshotInfo, Usage } from '../../lib/snapshot/snapshot.js'
import {
  noSnapshot,
  type SnapshotKey,
  snapshotKeyBytes,
} from '../../lib/snapshot/snapshot-key.js'
import type {
  CallOptions,
  CommitOptions,
  PrepareOptions,
  Snapshotter,
  UpdateOptions,
} from '../../lib/snapshot/snapshotter.js'
import { errorOfStatus } from './grpc-failure.js'
import { labelMessages, parseInfo } from './snapshot-messages.js'
import {
  type ListResponseMessage,
  loadSnapshotService,
  maxMessageBytes,
  type SnapshotCalls,
} from './snapshot-protocol.js'

type Method = keyof SnapshotCalls

/** Snapshots behind a socket: those of a running `cairn snapshotter`, or of containerd. */
export class SnapshotClient implements Snapshotter {
  readonly #client: Client
  readonly #service: ServiceDefinition
  readonly #snapshotter: string

  /** @param snapshotter - the plugin's name, which containerd itself needs */
  constructor(socket: string, { snapshotter = 'cairn' }: { snapshotter?: string } = {}) {
    this.#service = loadSnapshotService()
    this.#snapshotter = snapshotter
    this.#client = new Client(`unix:${socket}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': maxMessageBytes,
      // The path of a socket is no name of a host.
      'grpc.default_authority': 'localhost',
    })
  }

  async stat(key: SnapshotKey, options?: CallOptions): Promise<SnapshotInfo> {
    const { info } = await this.#call('Stat', { key: snapshotKeyBytes(key) }, options)
    return parseInfo(info)
  }

  async update(
    key: SnapshotKey,
    labels: Labels,
    { paths = [], ...options }: UpdateOptions = {},
  ): Promise<SnapshotInfo> {
    const request = {
      info: {
        name: snapshotKeyBytes(key),
        parent: Buffer.alloc(0),
        kind: 0,
        created_at: null,
        updated_at: null,
        labels: labelMessages(labels),
      },
      update_mask: { paths },
    }
    const { info } = await this.#call('Update', request, options)
    return parseInfo(info)
  }

  async usage(key: SnapshotKey, options?: CallOptions): Promise<Usage> {
    const usage = await this.#call('Usage', { key: snapshotKeyBytes(key) }, options)
    return { size: Number(usage.size), inodes: Number(usage.inodes) }
  }

  async mounts(key: SnapshotKey, options?: CallOptions): Promise<readonly Mount[]> {
    const { mounts } = await this.#call('Mounts', { key: snapshotKeyBytes(key) }, options)
    return mounts
  }

  async prepare(
    key: SnapshotKey,
    options: PrepareOptions = {},
  ): Promise<readonly Mount[]> {
    const { mounts } = await this.#call('Prepare', newSnapshot(key, options), options)
    return mounts
  }

  async view(key: SnapshotKey, options: PrepareOptions = {}): Promise<readonly Mount[]> {
    const { mounts } = await this.#call('View', newSnapshot(key, options), options)
    return mounts
  }

  async commit(
    name: SnapshotKey,
    key: SnapshotKey,
    options: CommitOptions = {},
  ): Promise<void> {
    const request = { name: snapshotKeyBytes(name), ...newSnapshot(key, options) }
    await this.#call('Commit', request, options)
  }

  async remove(key: SnapshotKey, options?: CallOptions): Promise<void> {
    await this.#call('Remove', { key: snapshotKeyBytes(key) }, options)
  }

  async *walk(
    filters: readonly string[] = [],
    { signal }: CallOptions = {},
  ): AsyncGenerator<readonly SnapshotInfo[], void> {
    signal?.throwIfAborted()
    const { path, requestSerialize, responseDeserialize } = this.#method('List')
    const request = {
      snapshotter: this.#snapshotter,
      filters: filters.map(filter => Buffer.from(filter)),
    }
    const stream: ClientReadableStream<ListResponseMessage> =
      this.#client.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        this.#metadata(),
      )
    const cancel = (): void => stream.cancel()
    signal?.addEventListener('abort', cancel, { once: true })
    try {
      for await (const message of stream)
        yield (message as ListResponseMessage).info.map(parseInfo)
    } catch (error) {
      signal?.throwIfAborted()
      throw errorOfStatus(error)
    } finally {
      signal?.removeEventListener('abort', cancel)
      stream.cancel()
    }
  }

  async cleanup(options?: CallOptions): Promise<void> {
    await this.#call('Cleanup', {}, options)
  }

  async close(): Promise<void> {
    this.#client.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #call<Name extends Method>(
    name: Name,
    message: SnapshotCalls[Name]['request'],
    { signal }: CallOptions = {},
  ): Promise<SnapshotCalls[Name]['response']> {
    signal?.throwIfAborted()
    const { path, requestSerialize, responseDeserialize } = this.#method(name)
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        { snapshotter: this.#snapshotter, ...message },
        this.#metadata(),
        (error: ServiceError | null, response?: SnapshotCalls[Name]['response']) => {
          signal?.removeEventListener('abort', cancel)
          if (response !== undefined) resolve(response)
          else reject(signal?.aborted === true ? signal.reason : errorOfStatus(error))
        },
      )
      const cancel = (): void => call.cancel()
      signal?.addEventListener('abort', cancel, { once: true })
    })
  }

  #method(name: Method | 'List') {
    const method = this.#service[name]
    if (method === undefined) throw new Error(`no call ${name}`)
    return method
  }

  // containerd's own service wants to know whose snapshots are meant.
  #metadata(): Metadata {
    const metadata = new Metadata()
    metadata.set('containerd-namespace', 'default')
    return metadata
  }
}

function newSnapshot(
  key: SnapshotKey,
  { parent = noSnapshot, labels = new Map() }: Omit<PrepareOptions, 'signal'>,
) {
  return {
    key: snapshotKeyBytes(key),
    parent: snapshotKeyBytes(parent),
    labels: labelMessages(labels),
  }
}
