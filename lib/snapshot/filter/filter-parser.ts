import { InvalidArgumentError } from '../../errors.js'
import type { FilterSelector } from './filter-selector.js'
import { findQuoted, type QuoteMark } from './quoted-text.js'

const maxFilterBytes = 65_536

const spaces = /\p{White_Space}*/uy
const field = /[A-Za-z0-9_]+/y
const operator = /[=!~]+/y
// A value begins with anything that begins nothing else, and goes on with what can be seen.
const value =
  /[^\p{White_Space}"/|.,=!~](?:(?![,\p{White_Space}])[\p{L}\p{M}\p{N}\p{P}\p{S}])*/uy

const kinds = new Map([
  ['==', 'equal'],
  ['!=', 'different'],
  ['~=', 'matching'],
] as const)

const plainMark: readonly QuoteMark[] = ['"']
const patternMarks: readonly QuoteMark[] = ['"', '/', '|']

/**
 * Parses one filter: `FIELD [OPERATOR VALUE], …`, all of which have to hold; none of an
 * empty one.
 *
 * A field is a row of names or quoted texts with dots between, an operator `==`, `!=` or
 * `~=`; a value is quoted, or a run of visible characters without commas. Throws
 * InvalidArgumentError.
 */
export function parseFilter(text: string): FilterSelector[] {
  return text === '' ? [] : new FilterParser(text).parse()
}

class FilterParser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
    if (Buffer.byteLength(text) > maxFilterBytes) {
      throw new InvalidArgumentError(
        `a filter is too long: expected at most ${maxFilterBytes} bytes`,
        { expected: maxFilterBytes },
      )
    }
    // U+FFFD stands for what was no UTF-8.
    const illegal = text.search(/[\0\u{fffd}]/u)
    if (illegal === -1) return
    this.#at = illegal
    throw this.#expected('text')
  }

  parse(): FilterSelector[] {
    const selectors = [this.#selector()]
    while (this.#at < this.#text.length) {
      if (!this.#isNext(',')) throw this.#expected('a comma')
      this.#at += 1
      selectors.push(this.#selector())
    }
    return selectors
  }

  #selector(): FilterSelector {
    const path = this.#path()
    if (this.#at === this.#text.length || this.#isNext(',')) {
      return { path, condition: { kind: 'present' } }
    }
    this.#take(spaces)
    const kind = kinds.get((this.#peek(operator) ?? '') as '==')
    if (kind === undefined) throw this.#expected('==, != or ~=')
    this.#take(operator)
    this.#take(spaces)
    return { path, condition: { kind, value: this.#value(kind) } }
  }

  #path(): string[] {
    const path = [this.#field()]
    while (this.#isNext('.')) {
      this.#at += 1
      path.push(this.#field())
    }
    return path
  }

  #field(): string {
    this.#take(spaces)
    return this.#quoted(plainMark) ?? this.#plain(field, 'a field')
  }

  #value(kind: 'equal' | 'different' | 'matching'): string {
    const marks = kind === 'matching' ? patternMarks : plainMark
    return this.#quoted(marks) ?? this.#plain(value, 'a value')
  }

  #quoted(marks: readonly QuoteMark[]): string | undefined {
    const mark = marks.find(character => this.#isNext(character))
    if (mark === undefined) return undefined
    const quoted = findQuoted(this.#text, this.#at, mark)
    if (quoted === undefined) throw this.#expected('a quoted text')
    this.#at = quoted.end
    return quoted.value
  }

  #plain(pattern: RegExp, what: string): string {
    const found = this.#take(pattern)
    if (found === '') throw this.#expected(what)
    return Buffer.from(found).toString('latin1')
  }

  #take(pattern: RegExp): string {
    const found = this.#peek(pattern) ?? ''
    this.#at += found.length
    return found
  }

  #peek(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    return pattern.exec(this.#text)?.[0]
  }

  #isNext(character: string): boolean {
    return this.#text[this.#at] === character
  }

  #expected(what: string): InvalidArgumentError {
    const shown = JSON.stringify(this.#text.slice(0, 200))
    return new InvalidArgumentError(
      `invalid filter ${shown}: expected ${what} at character ${this.#at + 1}`,
      { filter: shown, at: this.#at },
    )
  }
}
