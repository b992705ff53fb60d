import { availableParallelism } from 'node:os'
import { JobThread } from '../../system/thread/job-thread.js'
import {
  openScanner,
  type ScanPlace,
  type ScanResult,
  type ScanUnit,
} from './scan-unit.js'

/** How much there is to scan: tells whether threads are worth their start. */
export type ScanExtent = { readonly bytes: number; readonly objects: number }

// A thread starts in some 50 ms; in that time one scans so much by itself.
const worthwhile: ScanExtent = { bytes: 96 * 1024 * 1024, objects: 30_000 }
// Each has a segment and its own caches in memory, and disks are not faster for more.
const maxThreads = 4
// What a thread makes it soon drops; more room for it is memory that only grows.
const youngMegabytes = 6

type ScanThread = JobThread<ScanUnit, ScanResult, ScanPlace>

/**
 * Scans units, in threads where there is much to do, and yields what came of each in
 * their order; no more are under way than there are threads, so nothing piles up.
 */
export async function* scanUnits(
  place: ScanPlace,
  units: Iterable<ScanUnit>,
  { bytes, objects }: ScanExtent,
  signal?: AbortSignal,
): AsyncGenerator<readonly [ScanUnit, ScanResult]> {
  const isWorthwhile = bytes > worthwhile.bytes || objects > worthwhile.objects
  const threads = isWorthwhile ? Math.min(availableParallelism(), maxThreads) : 1
  if (threads > 1) yield* scanInThreads(place, units, threads, signal)
  else {
    using scanner = await openScanner(place)
    for (const unit of units) {
      signal?.throwIfAborted()
      yield [unit, await scanner.scan(unit)]
    }
  }
}

async function* scanInThreads(
  place: ScanPlace,
  units: Iterable<ScanUnit>,
  threads: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly [ScanUnit, ScanResult]> {
  const idle = Array.from({ length: threads }, () => startThread(place))
  const all = [...idle]
  const waiting: { unit: ScanUnit; thread: ScanThread; result: Promise<ScanResult> }[] =
    []
  try {
    for (const unit of units) {
      let thread = idle.pop()
      if (thread === undefined) {
        const first = waiting.shift()
        if (first === undefined) throw new Error('no thread is idle and none works')
        const result = await first.result
        thread = first.thread
        waiting.push({ unit, thread, result: thread.run(unit) })
        signal?.throwIfAborted()
        yield [first.unit, result]
      } else waiting.push({ unit, thread, result: thread.run(unit) })
    }
    for (const { unit, result } of waiting.splice(0)) yield [unit, await result]
  } finally {
    for (const { result } of waiting) result.catch(() => undefined)
    await Promise.all(all.map(async thread => thread[Symbol.asyncDispose]()))
  }
}

function startThread(place: ScanPlace): ScanThread {
  const file = new URL('./scan-worker.js', import.meta.url)
  return new JobThread(file, place, { youngMegabytes })
}
