import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { LogEntry } from '../log-entry.js'

/** What a server does at the moment. */
export type ServerState = {
  readonly transfers: number
  readonly uploads: number
  readonly memoryBytes: number
  readonly memoryWaiting: number
  readonly passwordChecks: number
  readonly ready: boolean
}

/** How a garbage collection went. */
export type CollectionOutcome = {
  readonly failed: boolean
  readonly freedBytes: number
  readonly seconds: number
}

const delayWindowMs = 10_000
const nanosecondsInSecond = 1e9
const quantiles = [50, 90, 99, 100]
const incoming: ReadonlySet<string> = new Set(['receive-objects', 'v2/uploads/*/packs'])

/** The metrics of a server, in the text form of Prometheus. */
export class ServerMetrics implements Disposable {
  readonly contentType: string
  readonly #registry = new Registry()
  readonly #requests: Counter<'service' | 'status'>
  readonly #seconds: Histogram<'service'>
  readonly #bytes: Counter<'direction'>
  readonly #objects: Counter<'direction'>
  readonly #reused: Counter
  readonly #refused: Counter<'code'>
  readonly #collections: Counter<'result'>
  readonly #freed: Counter
  readonly #collectionSeconds: Histogram
  readonly #delays: IntervalHistogram
  readonly #timer: NodeJS.Timeout

  constructor(state: () => ServerState) {
    const registers = [this.#registry]
    this.contentType = this.#registry.contentType
    this.#requests = new Counter({
      name: 'cairn_requests_total',
      help: 'Requests that ended',
      labelNames: ['service', 'status'],
      registers,
    })
    this.#seconds = new Histogram({
      name: 'cairn_request_seconds',
      help: 'How long requests took, transfers too',
      labelNames: ['service'],
      buckets: [0.001, 0.01, 0.1, 1, 10, 100, 1000],
      registers,
    })
    this.#bytes = new Counter({
      name: 'cairn_transferred_bytes_total',
      help: 'Payload bytes of objects that were transferred',
      labelNames: ['direction'],
      registers,
    })
    this.#objects = new Counter({
      name: 'cairn_transferred_objects_total',
      help: 'Objects that were transferred',
      labelNames: ['direction'],
      registers,
    })
    this.#reused = new Counter({
      name: 'cairn_reused_references_total',
      help: 'References of pushes to what was there already',
      registers,
    })
    this.#refused = new Counter({
      name: 'cairn_failed_requests_total',
      help: 'Requests and transfers that ended with an error',
      labelNames: ['code'],
      registers,
    })
    this.#collections = new Counter({
      name: 'cairn_collections_total',
      help: 'Garbage collections of repositories',
      labelNames: ['result'],
      registers,
    })
    this.#freed = new Counter({
      name: 'cairn_collected_bytes_total',
      help: 'Bytes that garbage collections gave back',
      registers,
    })
    this.#collectionSeconds = new Histogram({
      name: 'cairn_collection_seconds',
      help: 'How long garbage collections took',
      buckets: [0.1, 1, 10, 100, 1000, 10_000],
      registers,
    })
    this.#addState(state)
    this.#delays = monitorEventLoopDelay({ resolution: 10 })
    this.#delays.enable()
    const delay = new Gauge({
      name: 'cairn_event_loop_delay_seconds',
      help: 'How late the event loop was, in the last ten seconds; quantile 1 is the most',
      labelNames: ['quantile'],
      registers,
    })
    this.#timer = setInterval(() => {
      for (const percent of quantiles) {
        const seconds = this.#delays.percentile(percent) / nanosecondsInSecond
        delay.set({ quantile: String(percent / 100) }, seconds)
      }
      this.#delays.reset()
    }, delayWindowMs)
    this.#timer.unref()
  }

  /** Counts the entry that ends a request. */
  observe(entry: LogEntry): void {
    const { message, service = 'other', status, durationMs = 0, code } = entry
    if (message !== 'request' || status === undefined) return
    this.#requests.inc({ service, status: String(status) })
    this.#seconds.observe({ service }, durationMs / 1000)
    if (code !== undefined) this.#refused.inc({ code })
    const direction = incoming.has(service) ? 'in' : 'out'
    if (entry.bytes !== undefined) this.#bytes.inc({ direction }, entry.bytes)
    if (entry.objects !== undefined) this.#objects.inc({ direction }, entry.objects)
    if (entry.skipped !== undefined) this.#reused.inc(entry.skipped)
  }

  /** Counts a garbage collection. */
  collected({ failed, freedBytes, seconds }: CollectionOutcome): void {
    this.#collections.inc({ result: failed ? 'failed' : 'done' })
    this.#freed.inc(Math.max(0, freedBytes))
    this.#collectionSeconds.observe(seconds)
  }

  /** All of them as text. */
  async text(): Promise<string> {
    return this.#registry.metrics()
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#delays.disable()
  }

  #addState(state: () => ServerState): void {
    const gauge = (
      name: string,
      help: string,
      value: (now: ServerState) => number,
    ): void => {
      const made: Gauge = new Gauge({
        name,
        help,
        registers: [this.#registry],
        collect: () => made.set(value(state())),
      })
    }
    gauge('cairn_transfers', 'Transfers that run', now => now.transfers)
    gauge('cairn_uploads', 'Pushes that run', now => now.uploads)
    gauge(
      'cairn_transfer_memory_bytes',
      'Memory that pushes hold',
      now => now.memoryBytes,
    )
    gauge(
      'cairn_transfer_memory_waiting',
      'Pushes that wait for memory',
      now => now.memoryWaiting,
    )
    gauge('cairn_password_checks', 'Passwords being checked', now => now.passwordChecks)
    gauge('cairn_ready', 'Whether /readyz says so', now => (now.ready ? 1 : 0))
    gauge('cairn_resident_bytes', 'Memory of the process', () =>
      process.memoryUsage.rss(),
    )
  }
}
