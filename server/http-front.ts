import type { RequestListener } from 'node:http'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
} from 'node:http'
import { createServer as createHttpsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ListenOptions } from './server-options.js'
import { secureContextOptions, type TlsMaterial } from './tls.js'
import { makeResponse, type Upgradable } from './upgrade-request.js'

/** How connections are taken. */
export type FrontOptions = {
  readonly tls: TlsMaterial | undefined
  readonly idleTimeoutMs: number
}

const timeouts = {
  headersTimeout: 15_000,
  // A push may take hours; whoever reads a body bounds the silence.
  requestTimeout: 0,
  connectionsCheckingInterval: 5_000,
}
const handshakeTimeout = 15_000
const maxConnections = 2048

/** Takes connections, plain or TLS, and hands their requests to an application. */
export class HttpFront {
  readonly #server: Server
  readonly #tlsServer: TlsServer | undefined
  readonly #upgradables: WeakMap<IncomingMessage, Upgradable>
  /** Sockets of requests that asked to upgrade: Node forgets them. */
  readonly #upgrading = new Set<Duplex>()

  /** @param upgradables - gets the raw connections of requests that ask to upgrade */
  constructor(
    application: RequestListener,
    upgradables: WeakMap<IncomingMessage, Upgradable>,
    { tls, idleTimeoutMs }: FrontOptions,
  ) {
    this.#upgradables = upgradables
    this.#tlsServer =
      tls === undefined
        ? undefined
        : createHttpsServer(
            {
              ...timeouts,
              ...secureContextOptions(tls),
              handshakeTimeout,
              requestCert: tls.clientCa !== undefined,
              // Who shows none is a stranger, whose one is not trusted is told so.
              rejectUnauthorized: false,
            },
            application,
          )
    this.#server = this.#tlsServer ?? createHttpServer(timeouts, application)
    this.#server.maxConnections = maxConnections
    this.#server.timeout = idleTimeoutMs
    this.#server.on('upgrade', (request, socket, head) => {
      this.#noteUpgrade(request, socket, head)
      application(request, makeResponse(request, socket))
    })
  }

  get address(): AddressInfo | undefined {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address : undefined
  }

  /** Throws what the system says. */
  async listen(options: ListenOptions): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      const place =
        'fd' in options
          ? options
          : { host: options.host ?? '127.0.0.1', port: options.port ?? 0 }
      this.#server.listen(place, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
    const { address } = this
    if (address === undefined) throw new Error('a listening server has no address')
    return address
  }

  /** Replaces certificate and key for connections to come; not for a plain server. */
  replaceTls(tls: TlsMaterial): void {
    this.#tlsServer?.setSecureContext(secureContextOptions(tls))
  }

  /** Takes no more connections; returns when the last one is gone. */
  async end(): Promise<void> {
    const ended = new Promise<void>(resolve => {
      // An error only says that it was not listening.
      this.#server.close(() => resolve())
    })
    this.#server.closeIdleConnections()
    await ended
  }

  /** Drops all connections. */
  drop(): void {
    this.#server.closeAllConnections()
    for (const socket of this.#upgrading) socket.destroy()
  }

  #noteUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Whoever uses the socket sees it close; without a listener an error ends the process.
    socket.on('error', () => socket.destroy())
    request.socket.once('timeout', () => socket.destroy())
    this.#upgrading.add(socket)
    socket.once('close', () => this.#upgrading.delete(socket))
    this.#upgradables.set(request, { socket, head })
  }
}
