import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import { RemoteRefusedError } from '../errors.js'
import { escapeBytes } from '../object/escape.js'
import { remoteError } from './remote-error.js'

/** Where and how to upgrade. */
export type UpgradeRequest = {
  readonly dispatcher: Dispatcher
  readonly url: URL
  /** Value of the header of that name. */
  readonly authorization?: string
  readonly signal?: AbortSignal
}

/** Bytes of a refusal's body that are read, to be shown. */
export const maxRefusalBytes = 512

/**
 * Sends the upgrade request of version 1 and gives the raw connection; the caller closes it.
 *
 * Throws RemoteRefusedError with the status for any answer but 101, ConnectionLostError,
 * TimedOutError, or the signal's reason.
 */
export async function openUpgradedConnection(request: UpgradeRequest): Promise<Duplex> {
  const { dispatcher, url, authorization, signal } = request
  signal?.throwIfAborted()
  const handler = new UpgradeHandler(url)
  const abort = (): void => handler.abort(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  try {
    dispatcher.dispatch(
      {
        origin: url.origin,
        path: url.pathname + url.search,
        method: 'POST',
        upgrade: 'tcp',
        ...(authorization === undefined ? {} : { headers: { authorization } }),
      },
      handler,
    )
    return await handler.connection
  } catch (error) {
    throw remoteError(error, url)
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

// The client's own upgrade call forgets the status of a refusal.
class UpgradeHandler implements Dispatcher.DispatchHandler {
  readonly connection: Promise<Duplex>
  readonly #url: URL
  #resolve: (socket: Duplex) => void = () => undefined
  #reject: (error: unknown) => void = () => undefined
  #controller: Dispatcher.DispatchController | undefined
  #abortReason: unknown
  #refusal: { readonly status: number; body: Buffer } | undefined

  constructor(url: URL) {
    this.#url = url
    this.connection = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // It may be rejected before anyone waits for it.
    this.connection.catch(() => undefined)
  }

  abort(reason: unknown): void {
    this.#abortReason = reason
    this.#reject(reason)
    this.#controller?.abort(reason instanceof Error ? reason : new Error('aborted'))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#abortReason !== undefined) this.abort(this.#abortReason)
  }

  onRequestUpgrade(
    _: Dispatcher.DispatchController,
    status: number,
    __: unknown,
    socket: Duplex,
  ): void {
    if (this.#abortReason !== undefined) socket.destroy()
    else if (status === 101) this.#resolve(socket)
    else {
      socket.destroy()
      this.#reject(this.#refused(status, Buffer.alloc(0)))
    }
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number): void {
    this.#refusal = { status, body: Buffer.alloc(0) }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#refusal === undefined) return
    this.#refusal.body = Buffer.concat([this.#refusal.body, chunk])
    if (this.#refusal.body.length <= maxRefusalBytes) return
    this.#reject(this.#refused(this.#refusal.status, this.#refusal.body))
    controller.abort(new Error('the refusal is long enough'))
  }

  onResponseEnd(): void {
    const { status = 0, body = Buffer.alloc(0) } = this.#refusal ?? {}
    this.#reject(this.#refused(status, body))
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#reject(
      this.#refusal === undefined
        ? error
        : this.#refused(this.#refusal.status, this.#refusal.body),
    )
  }

  #refused(status: number, body: Buffer): RemoteRefusedError {
    return refusal(this.#url, status, body)
  }
}

/** The error for an answer that is not the one asked for. */
export function refusal(url: URL, status: number, body: Uint8Array): RemoteRefusedError {
  const shown = describeBody(Buffer.from(body).subarray(0, maxRefusalBytes))
  const said = shown === '' ? '' : `: ${shown}`
  return new RemoteRefusedError(`${url.href} answered with status ${status}${said}`, {
    url: url.href,
    status,
  })
}

function describeBody(body: Buffer): string {
  const detail = findDetail(body.toString())
  return escapeBytes(detail === undefined ? body : Buffer.from(detail)).replace(
    /(\\x0[ad]|\s)+$/,
    '',
  )
}

/** What a problem document (RFC 9457) says to people; undefined for any other text. */
function findDetail(text: string): string | undefined {
  try {
    const { title, detail, code } = Object(JSON.parse(text)) as Record<string, unknown>
    if (typeof detail === 'string') return detail
    if (typeof title !== 'string') return undefined
    return typeof code === 'string' ? `${title} (${code})` : title
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
