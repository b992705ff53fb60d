import type { OutputStream } from './output.js'
import { counted, formatBytes, formatSeconds } from './text.js'

/** What a work counts. */
export type ProgressUnit = 'object' | 'entry' | 'reference'

/** How far a work is; totals where they are known. */
export type ProgressState = {
  /** Of the unit that the progress was started with. */
  readonly objects: number
  readonly bytes: number | bigint
  readonly totalObjects?: number
  readonly totalBytes?: number | bigint
}

/** Something that shows how far a work is until it is disposed; twice is harmless. */
export interface Progress extends Disposable {
  /** Cheap: call it as often as there is news. */
  update(state: ProgressState): void
}

/** How progress appears: redrawn in place, as lines, or not at all. */
export type ProgressKind = 'bar' | 'lines' | 'none'

const redrawMilliseconds = 100
const barCells = 20

/** Tells milliseconds since some moment. */
type Clock = () => number

/** Starts to show progress; whoever starts it disposes it. */
export function startProgress(
  stream: OutputStream,
  label: string,
  { kind, unit = 'object' }: { kind: ProgressKind; unit?: ProgressUnit },
  clock: Clock = () => performance.now(),
): Progress {
  switch (kind) {
    case 'bar':
      return new ProgressBar(stream, { label, unit }, clock)
    case 'lines':
      return new ProgressLines(stream, { label, unit }, clock)
    case 'none':
      return { update() {}, [Symbol.dispose]() {} }
    default:
      return kind satisfies never
  }
}

type Work = { readonly label: string; readonly unit: ProgressUnit }

const plurals: Readonly<Record<ProgressUnit, string>> = {
  object: 'objects',
  entry: 'entries',
  reference: 'references',
}

function countedUnits(count: number, unit: ProgressUnit): string {
  return counted(count, unit, plurals[unit])
}

class ProgressBar implements Progress {
  readonly #stream: OutputStream
  readonly #work: Work
  readonly #clock: Clock
  readonly #started: number
  #drawn: number | undefined

  constructor(stream: OutputStream, work: Work, clock: Clock) {
    this.#stream = stream
    this.#work = work
    this.#clock = clock
    this.#started = clock()
  }

  update(state: ProgressState): void {
    const now = this.#clock()
    if (this.#drawn !== undefined && now - this.#drawn < redrawMilliseconds) return
    this.#drawn = now
    const line = describeProgress(this.#work, state, (now - this.#started) / 1000)
    // Some terminals tell no width, or 0. One column less than it: a full line would wrap
    // and could not be redrawn.
    const columns = Math.max(20, (this.#stream.columns || 80) - 1)
    this.#stream.write(`\r${line.slice(0, columns)}\x1b[K`)
  }

  [Symbol.dispose](): void {
    if (this.#drawn !== undefined) this.#stream.write('\r\x1b[K')
    this.#drawn = undefined
  }
}

class ProgressLines implements Progress {
  readonly #stream: OutputStream
  readonly #work: Work
  readonly #clock: Clock
  readonly #started: number
  #state: ProgressState | undefined

  constructor(stream: OutputStream, work: Work, clock: Clock) {
    this.#stream = stream
    this.#work = work
    this.#clock = clock
    this.#started = clock()
    stream.write(`${work.label} …\n`)
  }

  update(state: ProgressState): void {
    this.#state = state
  }

  [Symbol.dispose](): void {
    if (this.#state === undefined) return
    const { objects, bytes } = this.#state
    this.#state = undefined
    const seconds = (this.#clock() - this.#started) / 1000
    this.#stream.write(
      `${this.#work.label}: ${countedUnits(objects, this.#work.unit)}, ${formatBytes(bytes)} ` +
        `in ${seconds.toFixed(1)} s\n`,
    )
  }
}

/** One line that says how far a work is after so many seconds. */
export function describeProgress(
  { label, unit }: Work,
  state: ProgressState,
  seconds: number,
): string {
  const { objects, totalObjects, bytes, totalBytes } = state
  const rate = seconds > 0 ? Number(bytes) / seconds : 0
  const parts = [label]
  const share = shareOf(state)
  if (share !== undefined) {
    const full = Math.floor(share * barCells)
    parts.push(`[${'#'.repeat(full)}${'.'.repeat(barCells - full)}]`)
    parts.push(`${Math.floor(share * 100)}%`)
  }
  parts.push(
    totalObjects === undefined
      ? countedUnits(objects, unit)
      : `${objects}/${totalObjects} ${plurals[unit]}`,
    totalBytes === undefined
      ? formatBytes(bytes)
      : `${formatBytes(bytes)}/${formatBytes(totalBytes)}`,
    `${formatBytes(Math.round(rate))}/s`,
  )
  if (share !== undefined && share > 0) {
    parts.push(`${formatSeconds((seconds * (1 - share)) / share)} left`)
  }
  return parts.join('  ')
}

// Both count: many small objects take time although their bytes say "done", and the
// other way round.
function shareOf(state: ProgressState): number | undefined {
  const { objects, totalObjects, bytes, totalBytes } = state
  if (totalObjects === undefined || totalBytes === undefined) return undefined
  const objectShare = totalObjects > 0 ? objects / totalObjects : 1
  const byteShare = Number(totalBytes) > 0 ? Number(bytes) / Number(totalBytes) : 1
  return Math.min(1, (objectShare + byteShare) / 2)
}
