import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { Agent } from 'undici'
import {
  type CairnError,
  ConnectionLostError,
  type ErrorFacts,
  IncompleteClosureError,
  RefNotFoundError,
  RemoteRefusedError,
  StorageFullError,
  TagConflictError,
  TagNotFoundError,
  TagProtectedError,
  WrongObjectTypeError,
} from '../../errors.js'
import { readBodyStart, readBoundedBody } from '../bounded-body.js'
import { remoteError } from '../remote-error.js'
import { refusal } from '../upgraded-connection.js'

/** How a server is reached. */
export type HttpOptions = {
  /** Certificates to trust instead of the system's, for https. */
  readonly ca?: string | Buffer
  /** Milliseconds until a connection must stand. */
  readonly connectTimeoutMs?: number
  /** Milliseconds without a byte until a connection is given up. */
  readonly idleTimeoutMs?: number
  /** Milliseconds that a server may take to make a whole push durable. */
  readonly settleTimeoutMs?: number
  /** Sent with every request, and to nobody else: redirects are not followed. */
  readonly authorization?: string
  /** Certificate and key, PEM, by which the server may know this client. */
  readonly clientCertificate?: { readonly certificate: string; readonly key: string }
}

/** One request. */
export type HttpCall = {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  /** Below the repository's base path. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly type?: string
  readonly body?: Buffer | Readable
  readonly signal?: AbortSignal | undefined
  /** Whether it may be sent again when the connection was lost: then it changes nothing. */
  readonly isRepeatable?: boolean
  /** Milliseconds until the answer must begin, where it is not the usual time. */
  readonly answerTimeoutMs?: number
}

/** An answer that was asked for; the caller disposes it. */
export type HttpAnswer = Disposable & {
  readonly status: number
  readonly body: AsyncIterable<Uint8Array>
}

const defaultConnectTimeoutMs = 10_000
const defaultIdleTimeoutMs = 60_000
const pausesMs = [0, 100, 400]
const maxProblemBytes = 256 * 1024

/** Talks HTTP to one repository of a server; keeps connections open between requests. */
export class HttpClient implements AsyncDisposable {
  readonly url: URL
  readonly #agent: Agent
  readonly #authorization: string | undefined

  constructor(url: URL, options: HttpOptions = {}) {
    const { ca, clientCertificate, connectTimeoutMs = defaultConnectTimeoutMs } = options
    const { idleTimeoutMs = defaultIdleTimeoutMs, authorization } = options
    this.url = url
    this.#authorization = authorization
    this.#agent = new Agent({
      connect: {
        timeout: connectTimeoutMs,
        ...(ca === undefined ? {} : { ca }),
        ...(clientCertificate && {
          cert: clientCertificate.certificate,
          key: clientCertificate.key,
        }),
      },
      headersTimeout: idleTimeoutMs,
      bodyTimeout: idleTimeoutMs,
    })
  }

  /**
   * Sends a request; any status but those expected is thrown as an error.
   *
   * What may be repeated is, when a connection was lost: one that was kept open may have
   * been closed meanwhile.
   */
  async send(call: HttpCall, expected: readonly number[]): Promise<HttpAnswer> {
    for (const pause of call.isRepeatable === true ? pausesMs : []) {
      try {
        return await this.#sendOnce(call, expected)
      } catch (error) {
        if (!(error instanceof ConnectionLostError) || !wasCut(error)) throw error
        const jitter = pause * Math.random()
        await delay(pause + jitter, undefined, call.signal && { signal: call.signal })
      }
    }
    return this.#sendOnce(call, expected)
  }

  async #sendOnce(call: HttpCall, expected: readonly number[]): Promise<HttpAnswer> {
    const url = this.#urlOf(call.path)
    try {
      const { statusCode, body } = await this.#agent.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: call.method,
        headers: {
          ...(this.#authorization && { authorization: this.#authorization }),
          ...(call.type && { 'content-type': call.type }),
          ...call.headers,
        },
        ...(call.body && { body: call.body }),
        ...(call.signal && { signal: call.signal }),
        ...(call.answerTimeoutMs && { headersTimeout: call.answerTimeoutMs }),
      })
      if (expected.includes(statusCode)) {
        return {
          status: statusCode,
          body: named(body, url, call.signal),
          [Symbol.dispose]: () => void body.destroy(),
        }
      }
      throw problemError(url, statusCode, await readBodyStart(body, maxProblemBytes))
    } catch (error) {
      if (call.signal?.aborted === true) throw call.signal.reason
      throw remoteError(error, url)
    }
  }

  /** Sends a request and reads an answer of at most `limit` bytes. */
  async ask(
    call: HttpCall,
    expected: readonly number[],
    limit: number,
  ): Promise<{ readonly status: number; readonly body: Buffer }> {
    using answer = await this.send(call, expected)
    const what = `the answer of ${this.#urlOf(call.path).href} with status ${answer.status}`
    const body = await readBoundedBody(answer.body, limit, what)
    return { status: answer.status, body }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }

  #urlOf(path: string): URL {
    const base = this.url.pathname.replace(/\/+$/, '')
    const url = new URL(this.url)
    const [pathname = '', search = ''] = path.split('?', 2)
    url.pathname = base + pathname
    url.search = search
    return url
  }
}

/** Whether a connection was there, and was lost. */
function wasCut({ cause }: ConnectionLostError): boolean {
  const { code } = Object(cause) as { readonly code?: unknown }
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'UND_ERR_SOCKET'
}

/** A body whose errors are ours. */
async function* named(
  body: Readable,
  url: URL,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) yield chunk
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason
    throw remoteError(error, url)
  }
}

/** The error for a refusal: ours, where a caller would react to it. */
function problemError(url: URL, status: number, body: Buffer): CairnError {
  const refused = refusal(url, status, body)
  const code = problemCode(body)
  const facts = { url: url.href, status }
  const options = { cause: refused }
  const known = code === undefined ? undefined : reactions.get(code)
  return known === undefined
    ? new RemoteRefusedError(refused.message, { ...facts, code })
    : new known(refused.message, facts, options)
}

// What a caller may react to in the same way, wherever it happened.
const reactions = new Map<
  string,
  new (
    message: string,
    facts: ErrorFacts,
    options: ErrorOptions,
  ) => CairnError
>([
  ['tag_not_found', TagNotFoundError],
  ['ref_not_found', RefNotFoundError],
  ['tag_conflict', TagConflictError],
  ['storage_full', StorageFullError],
  ['tag_protected', TagProtectedError],
  ['incomplete_closure', IncompleteClosureError],
  ['wrong_object_type', WrongObjectTypeError],
])

function problemCode(body: Buffer): string | undefined {
  try {
    const { code } = Object(JSON.parse(body.toString())) as Record<string, unknown>
    return typeof code === 'string' ? code : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
