import type { Writable } from 'node:stream'
import { isErrno } from '../lib/system/errno.js'
import { formatJson, type JsonValue } from './json.js'
import { type Progress, type ProgressUnit, startProgress } from './progress.js'
import { printable } from './text.js'

/** Nobody reads standard output any more. */
export class BrokenPipeError extends Error {
  override readonly name = 'BrokenPipeError'
}

/** Which of the things that a command could say are wanted. */
export type OutputMode = {
  readonly json: boolean
  readonly quiet: boolean
  readonly verbose: boolean
  readonly progress: boolean
}

/** A stream that may be a terminal. */
export type OutputStream = Writable & {
  readonly isTTY?: boolean
  readonly columns?: number
}

/** One row of a listing: as member of a JSON array and as lines of text. */
export type Row = { readonly json: JsonValue; readonly text: string }

const chunkSize = 64 * 1024

/**
 * What a run says: results on standard output, everything else on standard error.
 *
 * With `json`, standard output holds exactly one document.
 */
export class Output {
  readonly mode: OutputMode
  readonly #results: OutputStream
  readonly #remarks: OutputStream

  constructor(results: OutputStream, remarks: OutputStream, mode: OutputMode) {
    this.#results = results
    this.#remarks = remarks
    this.mode = mode
  }

  /** Whether results appear on a terminal. */
  get resultsAreShown(): boolean {
    return this.#results.isTTY === true
  }

  /** Prints a result: the document, or the text, which ends its own lines. */
  async result(document: JsonValue, text: string): Promise<void> {
    await this.write(this.mode.json ? `${formatJson(document)}\n` : text)
  }

  /**
   * Prints a listing as it comes: `{KEY: [rows], …}` or the rows' texts. `end` gives the
   * members that follow the rows.
   */
  async list(
    key: string,
    rows: AsyncIterable<Row> | Iterable<Row>,
    end?: () => { readonly [key: string]: JsonValue },
  ): Promise<void> {
    let pending = this.mode.json ? `{${JSON.stringify(key)}:[` : ''
    let separator = '\n'
    for await (const row of rows) {
      pending += this.mode.json ? separator + formatJson(row.json) : row.text
      separator = ',\n'
      if (pending.length < chunkSize) continue
      await this.write(pending)
      pending = ''
    }
    if (this.mode.json) {
      const members = formatJson(end?.() ?? {}).slice(1, -1)
      pending += members === '' ? ']}\n' : `],${members}}\n`
    }
    if (pending !== '') await this.write(pending)
  }

  /** Writes to standard output; throws BrokenPipeError. */
  async write(chunk: string | Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#results.write(chunk, error => {
        if (error == null) resolve()
        else reject(isErrno(error, 'EPIPE') ? new BrokenPipeError() : error)
      })
    })
  }

  /** Tells something beside the result: not with `--quiet` or `--json`. */
  note(text: string): void {
    if (!this.mode.quiet && !this.mode.json) this.#remark(text)
  }

  /** Tells what only `--verbose` asks for. */
  detail(text: string): void {
    if (this.mode.verbose && !this.mode.json) this.#remark(text)
  }

  /** Writes a line of a log, which is neither result nor remark. */
  log(line: string): void {
    this.#remarks.write(`${line}\n`)
  }

  /** Warns of something that the result leaves out; `--json` has it in the document. */
  warn(text: string): void {
    if (!this.mode.json) this.#remark(`warning: ${text}`)
  }

  /** Shows how far a long work is: a bar on a terminal, else a line at its start. */
  progress(label: string, unit: ProgressUnit = 'object'): Progress {
    const { json, quiet, progress } = this.mode
    const kind =
      json || quiet || !progress ? 'none' : this.#isTerminal() ? 'bar' : 'lines'
    return startProgress(this.#remarks, label, { kind, unit })
  }

  #isTerminal(): boolean {
    return this.#remarks.isTTY === true
  }

  #remark(text: string): void {
    this.#remarks.write(`${printable(text)}\n`)
  }
}
