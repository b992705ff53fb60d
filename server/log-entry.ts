/** One line of the server's log: a request that ended, or something worth knowing. */
export type LogEntry = {
  /** ISO 8601. */
  readonly time: string
  readonly level: 'info' | 'warn' | 'error'
  readonly message: string
  /** The same for every entry of one request. */
  readonly id?: string
  readonly peer?: string
  readonly method?: string
  /** Without the query, escaped for a terminal. */
  readonly path?: string
  readonly service?: string
  /** Who made the request, as far as he said. */
  readonly who?: string
  /** Of the snapshot that a call was about, escaped for a terminal. */
  readonly key?: string
  /** Of an image, that was to be stored or loaded. */
  readonly layer?: string
  readonly status?: number
  readonly durationMs?: number
  /** What a transfer moved. */
  readonly objects?: number
  readonly bytes?: number
  /** References that a push made to what was there already. */
  readonly skipped?: number
  /** The error's code, or its name when it is none of ours. */
  readonly code?: string
  readonly error?: string
}

/** Takes log entries. */
export type Logger = (entry: LogEntry) => void

/** An entry as one line of JSON, without the line feed. */
export function formatLogEntry(entry: LogEntry): string {
  return JSON.stringify(entry)
}
