import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { CairnError } from '../lib/errors.js'
import { escapeBytes } from '../lib/object/escape.js'
import type { LogEntry, Logger } from './log-entry.js'

const maxShown = 500

/** Writes the log of one request: one entry when it ends, and what happens on the way. */
export class RequestLog {
  readonly #logger: Logger
  readonly #request: Pick<LogEntry, 'id' | 'peer' | 'method' | 'path'>
  readonly #started = performance.now()
  #facts: Partial<LogEntry> = {}
  #ended = false

  constructor(logger: Logger, request: IncomingMessage) {
    this.#logger = logger
    this.#request = {
      id: randomUUID(),
      peer: request.socket.remoteAddress ?? 'unknown',
      method: request.method ?? '',
      path: shown((request.url ?? '').split('?')[0] ?? ''),
    }
  }

  get id(): string {
    return this.#request.id ?? ''
  }

  get peer(): string {
    return this.#request.peer ?? 'unknown'
  }

  /** Adds facts to the entry that ends the request. */
  add(facts: Partial<LogEntry>): void {
    this.#facts = { ...this.#facts, ...facts }
  }

  /** Adds an error to the entry that ends the request. */
  addError(error: unknown): void {
    this.add({
      level: error instanceof CairnError ? 'warn' : 'error',
      code: error instanceof CairnError ? error.code : nameOf(error),
      error: shown(error instanceof Error ? error.message : String(error)),
    })
  }

  /** Logs at once. */
  note(message: string, facts: Partial<LogEntry> = {}): void {
    this.#write({ level: 'warn', message, ...facts })
  }

  /** Logs the end of the request, once. */
  end(status: number): void {
    if (this.#ended) return
    this.#ended = true
    const durationMs = Math.round((performance.now() - this.#started) * 10) / 10
    this.#write({ level: 'info', message: 'request', status, durationMs, ...this.#facts })
  }

  /** Logs the end of a request when its response is through, or cut off. */
  follow(response: ServerResponse): void {
    response.once('close', () => this.end(response.statusCode))
  }

  #write(facts: Pick<LogEntry, 'level' | 'message'> & Partial<LogEntry>): void {
    this.#logger({ time: new Date().toISOString(), ...this.#request, ...facts })
  }
}

function shown(text: string): string {
  return escapeBytes(Buffer.from(text.slice(0, maxShown)))
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'unknown'
}
