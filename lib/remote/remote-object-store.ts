import { setTimeout as delay } from 'node:timers/promises'
import { Agent, request } from 'undici'
import {
  type CairnError,
  ConnectionLostError,
  ProtocolViolationError,
  RemoteRefusedError,
  TagNotFoundError,
  WrongObjectTypeError,
} from '../errors.js'
import {
  type Descriptor,
  decodeDescriptor,
  encodeDescriptor,
  sameDescriptor,
} from '../object/descriptor.js'
import { decodeTagList, type Tag } from '../object/tag-list.js'
import { parseTagName, type TagName } from '../object/tag-name.js'
import { parseRemoteUrl } from '../repository/remote-url.js'
import type { ObjectReader, StoreSession } from '../store/object-store.js'
import { readBodyStart, readBoundedBody } from './bounded-body.js'
import { PeerConnection } from './peer-connection.js'
import type { Patience } from './peer-watch.js'
import type { ProgressMeter } from './progress-meter.js'
import type { ReceiveLimits } from './receive-limits.js'
import { type ReceiveResult, receiveObjects } from './receive-objects.js'
import { remoteError } from './remote-error.js'
import { type SendResult, sendObjects } from './send-objects.js'
import {
  maxRefusalBytes,
  openUpgradedConnection,
  refusal,
} from './upgraded-connection.js'
import { speaksVersion2 } from './version2/find-version2.js'
import { HttpClient } from './version2/http-client.js'

/** How a remote repository is reached. */
export type RemoteOptions = Partial<Patience> & {
  /** Certificates to trust instead of the system's, for https. */
  readonly ca?: string | Buffer
  /** Value of the Authorization header: it goes to this remote and nowhere else. */
  readonly authorization?: string
  /** Certificate and key, PEM, by which the remote may know this client. */
  readonly clientCertificate?: { readonly certificate: string; readonly key: string }
  /** Milliseconds until a connection must stand. */
  readonly connectTimeoutMs?: number
  /** Milliseconds that a server may take to make a whole push durable. */
  readonly settleTimeoutMs?: number
  /** Which protocol pull and push use; by default the best that the server speaks. */
  readonly protocol?: 'best' | 'version1'
}

/** How one transfer runs. */
export type TransferOptions = {
  readonly progress?: ProgressMeter
  readonly signal?: AbortSignal
}

/** How objects are fetched. */
export type FetchOptions = TransferOptions & {
  /** Published objects of the store that the session adds to. */
  readonly published: ObjectReader
  readonly limits?: Partial<ReceiveLimits>
}

/** How an application is pushed. */
export type PushOptions = TransferOptions & {
  /** The tag that the server shall set; without one it only keeps the objects. */
  readonly tag?: TagName
}

/** What a push sent. */
export type PushedObjects = { readonly objects: number; readonly bytes: number }

const defaults = {
  connectTimeoutMs: 10_000,
  settleTimeoutMs: 15 * 60_000,
}

const maxTagBytes = 128
const maxTagListBytes = 16 * 1024 * 1024

// The original server sets a tag shortly after it said done.
const confirmPausesMs = [0, 50, 150, 300, 600]

/** A repository behind a server: its own methods speak version 1 (docs/protocol.md). */
export class RemoteObjectStore implements AsyncDisposable {
  readonly url: URL
  readonly #agent: Agent
  readonly #authorization: string | undefined
  readonly #patience: Partial<Patience>
  readonly #http: HttpClient
  readonly #protocol: 'best' | 'version1'
  #version2: Promise<boolean> | undefined
  /** Milliseconds that the server may take to make a whole push durable. */
  readonly settleTimeoutMs: number

  /** Throws InvalidArgumentError for an address that is not plain http or https. */
  constructor(url: URL | string, options: RemoteOptions = {}) {
    const {
      ca,
      authorization,
      clientCertificate,
      connectTimeoutMs,
      settleTimeoutMs,
      protocol = 'best',
      ...patience
    } = { ...defaults, ...options }
    this.url = parseRemoteUrl(String(url))
    this.#authorization = authorization
    this.#patience = patience
    this.settleTimeoutMs = settleTimeoutMs
    this.#protocol = protocol
    this.#http = new HttpClient(this.url, options)
    const { idleTimeoutMs } = patience
    this.#agent = new Agent({
      connect: {
        timeout: connectTimeoutMs,
        ...(ca === undefined ? {} : { ca }),
        ...(clientCertificate === undefined
          ? {}
          : { cert: clientCertificate.certificate, key: clientCertificate.key }),
      },
      ...(idleTimeoutMs === undefined
        ? {}
        : { headersTimeout: idleTimeoutMs, bodyTimeout: idleTimeoutMs }),
    })
  }

  /** A client of protocol 2, where the server speaks it; asks the server once. */
  async findVersion2(signal?: AbortSignal): Promise<HttpClient | undefined> {
    if (this.#protocol === 'version1') return undefined
    this.#version2 ??= speaksVersion2(this.#http, signal)
    try {
      return (await this.#version2) ? this.#http : undefined
    } catch (error) {
      this.#version2 = undefined
      throw error
    }
  }

  /** What a tag of the remote names; throws TagNotFoundError, and as findTag does. */
  async getTag(
    name: string,
    options: { signal?: AbortSignal } = {},
  ): Promise<Descriptor> {
    const descriptor = await this.findTag(name, options)
    if (descriptor !== undefined) return descriptor
    throw new TagNotFoundError(`no tag "${name}" at ${this.url.href}`, {
      tag: name,
      url: this.url.href,
    })
  }

  /**
   * What a tag of the remote names; undefined when there is no such tag.
   *
   * Throws RemoteRefusedError with the status of any other answer, InvalidObjectError for
   * bytes that are no descriptor, ConnectionLostError, TimedOutError.
   */
  async findTag(
    name: string,
    options: { signal?: AbortSignal } = {},
  ): Promise<Descriptor | undefined> {
    const url = this.#serviceUrl('get-tag', parseTagName(name))
    const { status, body } = await this.#get(url, maxTagBytes, options.signal)
    if (status === 404 && body.length === 0) return undefined
    if (status !== 200) throw refusal(url, status, body)
    return decodeDescriptor(body)
  }

  /** Every tag of the remote, in byte order of names; throws as findTag does. */
  async listTags(options: { signal?: AbortSignal } = {}): Promise<Tag[]> {
    const url = this.#serviceUrl('list-tags')
    const { status, body } = await this.#get(url, maxTagListBytes, options.signal)
    if (status !== 200) throw refusal(url, status, body)
    return decodeTagList(body).toSorted((one, other) => (one.name < other.name ? -1 : 1))
  }

  /**
   * Fetches `root` and what the session lacks below it, and publishes it.
   *
   * On an error the caller disposes the session, so that nothing is kept.
   */
  async fetch(
    root: Descriptor,
    session: StoreSession,
    options: FetchOptions,
  ): Promise<ReceiveResult> {
    const { signal, ...receiving } = options
    await using peer = await this.#upgrade(this.#serviceUrl('serve-objects'), signal)
    return await receiveObjects(peer, root, session, receiving)
  }

  /**
   * Pushes an application with everything below it that the remote lacks, and makes sure
   * that the tag was set.
   *
   * Repeats once when the remote broke off after it had received everything, as the
   * original server may. Throws RemoteRefusedError when the objects are there but the
   * tag is not, since some servers set none; and WrongObjectTypeError, ConnectionLostError,
   * TimedOutError, ProtocolViolationError.
   */
  async push(
    root: Descriptor,
    reader: ObjectReader,
    options: PushOptions = {},
  ): Promise<PushedObjects> {
    if (root.type !== 'application') {
      throw new WrongObjectTypeError(
        `only applications can be pushed: expected application, found ${root.type} ${root.digest}`,
        { digest: root.digest, expected: 'application', found: root.type },
      )
    }
    const first = await this.#pushOnce(root, reader, options)
    const second =
      first.kind === 'broken-end' && first.objects > 0
        ? await this.#pushOnce(root, reader, options)
        : undefined
    const last = second ?? first
    await this.#confirm(root, last, options)
    return {
      objects: first.objects + (second?.objects ?? 0),
      bytes: first.bytes + (second?.bytes ?? 0),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
    await this.#http[Symbol.asyncDispose]()
  }

  async #pushOnce(
    root: Descriptor,
    reader: ObjectReader,
    { tag, progress, signal }: PushOptions,
  ): Promise<SendResult> {
    const url = this.#serviceUrl('receive-objects', tag)
    await using peer = await this.#upgrade(url, signal)
    await peer.write(encodeDescriptor(root))
    return await sendObjects(peer, reader, {
      served: { kind: 'closure', root },
      settleTimeoutMs: this.settleTimeoutMs,
      ...(progress === undefined ? {} : { progress }),
    })
  }

  /** Makes sure that what was pushed is what the remote says to have. */
  async #confirm(
    root: Descriptor,
    result: SendResult,
    { tag, signal }: PushOptions,
  ): Promise<void> {
    const isWhole = result.kind === 'done' || result.rootSkipped
    if (tag === undefined) {
      if (!isWhole) throw brokenEnd(result, this.url)
      return
    }
    for (const pause of isWhole ? confirmPausesMs : [0]) {
      await delay(pause, undefined, signal === undefined ? {} : { signal })
      const found = await this.#findOwnTag(tag, isWhole, signal)
      if (found === 'unreadable') return
      if (found !== undefined && sameDescriptor(found, root)) return
    }
    if (!isWhole && result.objects > 0) throw brokenEnd(result, this.url)
    const state = result.objects === 0 ? 'already there' : 'stored'
    throw new RemoteRefusedError(
      `${root.digest}: ${state}, tag "${tag}" not set by this server (${this.url.href})`,
      { digest: root.digest, tag, url: this.url.href },
    )
  }

  /** What a tag names that was pushed just now, which not everyone who pushes may read. */
  async #findOwnTag(
    tag: TagName,
    isWhole: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Descriptor | 'unreadable' | undefined> {
    try {
      return await this.findTag(tag, signal === undefined ? {} : { signal })
    } catch (error) {
      const status =
        error instanceof RemoteRefusedError ? error.facts['status'] : undefined
      // Servers that know who may read set tags before they say that they are done.
      if (isWhole && (status === 401 || status === 403)) return 'unreadable'
      throw error
    }
  }

  async #upgrade(url: URL, signal: AbortSignal | undefined): Promise<PeerConnection> {
    const watched = signal === undefined ? {} : { signal }
    const stream = await openUpgradedConnection({
      dispatcher: this.#agent,
      url,
      ...this.#credentials(),
      ...watched,
    })
    return new PeerConnection(stream, { ...this.#patience, ...watched })
  }

  async #get(
    url: URL,
    limit: number,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly status: number; readonly body: Buffer }> {
    try {
      const response = await request(url, {
        dispatcher: this.#agent,
        headers: this.#credentials(),
        ...(signal === undefined ? {} : { signal }),
      })
      const { statusCode: status } = response
      const what = `the answer of ${url.href} with status ${status}`
      const body =
        status === 200
          ? await readBoundedBody(response.body, limit, what)
          : await readBodyStart(response.body, maxRefusalBytes)
      return { status, body }
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason
      throw remoteError(error, url)
    }
  }

  #credentials(): { readonly authorization?: string } {
    const authorization = this.#authorization
    return authorization === undefined ? {} : { authorization }
  }

  #serviceUrl(service: string, tag?: TagName): URL {
    const url = new URL(this.url)
    url.searchParams.set('service', service)
    if (tag !== undefined) url.searchParams.set('tag', tag)
    return url
  }
}

function brokenEnd(result: SendResult, url: URL): CairnError {
  const cause = result.kind === 'broken-end' ? result.cause : undefined
  if (cause instanceof ProtocolViolationError) return cause
  return new ConnectionLostError(
    `${url.href} broke off before it said that all is stored`,
    { url: url.href, objects: result.objects },
    { cause },
  )
}
