import { Server, ServerCredentials } from '@grpc/grpc-js'
import type { Snapshotter } from '../../lib/snapshot/snapshotter.js'
import type { Logger } from '../log-entry.js'
import { type CallObserver, logEntryOf } from './finished-call.js'
import { loadSnapshotService, maxMessageBytes } from './snapshot-protocol.js'
import { createSnapshotService } from './snapshot-service.js'
import { SocketPlace } from './socket-place.js'

/** What is served, and who is told of it. */
export type SnapshotServerOptions = {
  readonly snapshotter: Snapshotter
  /** Path of the socket. */
  readonly socket: string
  readonly logger?: Logger
  /** Is told of every call when it was answered. */
  readonly onCall?: CallObserver
}

const defaultGraceMs = 4000

/** A server of the snapshots service on a socket of this machine. */
export class SnapshotServer implements AsyncDisposable {
  readonly #server: Server
  readonly #place: SocketPlace
  #closed: Promise<void> | undefined

  private constructor(server: Server, place: SocketPlace) {
    this.#server = server
    this.#place = place
  }

  /**
   * Listens. What a dead server left at the path is replaced; throws LockBusyError where a
   * living one listens, InvalidArgumentError where something else is.
   */
  static async listen(options: SnapshotServerOptions): Promise<SnapshotServer> {
    const { snapshotter, socket, logger, onCall } = options
    const place = await SocketPlace.find(socket)
    const server = new Server({
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': maxMessageBytes,
    })
    const observe: CallObserver = call => {
      onCall?.(call)
      const entry = logEntryOf(call)
      if (entry !== undefined) logger?.(entry)
    }
    server.addService(loadSnapshotService(), createSnapshotService(snapshotter, observe))
    try {
      await bind(server, place.temporary)
      place.take()
    } catch (error) {
      server.forceShutdown()
      throw error
    }
    return new SnapshotServer(server, place)
  }

  /** The path of its socket. */
  get socket(): string {
    return this.#place.path
  }

  /** Takes no more calls, lets those under way finish for `graceMs`, then ends them. */
  async close({ graceMs = defaultGraceMs }: { graceMs?: number } = {}): Promise<void> {
    this.#closed ??= this.#close(graceMs)
    await this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close({ graceMs: 0 })
  }

  async #close(graceMs: number): Promise<void> {
    this.#place.leave()
    const timer = setTimeout(() => this.#server.forceShutdown(), graceMs)
    await new Promise<void>(resolve => {
      this.#server.tryShutdown(() => resolve())
    })
    clearTimeout(timer)
  }
}

async function bind(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), error => {
      if (error === null) resolve()
      else reject(error)
    })
  })
}
