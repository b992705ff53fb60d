import { type Document, isMap, isScalar, isSeq, type LineCounter } from 'yaml'
import { InvalidArgumentError } from '../../lib/errors.js'

/** The text that a configuration was read from. */
export type ConfigSource = {
  readonly path: string
  readonly lines: LineCounter
  readonly document: Document
}

type Parse<Value> = (node: ConfigNode) => Value

/** A value in a configuration, with where it stands. */
export class ConfigNode {
  readonly #source: ConfigSource
  readonly #node: unknown
  readonly #where: string

  constructor(source: ConfigSource, node: unknown, where: string) {
    this.#source = source
    this.#node = node
    this.#where = where
  }

  /** The members of a section, each parsed by its name; throws for names that are not known. */
  section<Members extends Record<string, Parse<unknown>>>(
    parsers: Members,
  ): { readonly [Key in keyof Members]?: ReturnType<Members[Key]> } {
    const node = this.#node
    if (!isMap(node)) throw this.invalid('expected a section with keys')
    const members: Record<string, unknown> = {}
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : ''
      const where = this.#where === '' ? name : `${this.#where}.${name}`
      const member = new ConfigNode(this.#source, value ?? key, where)
      const parse = Object.hasOwn(parsers, name) ? parsers[name] : undefined
      if (parse === undefined) {
        const known = Object.keys(parsers).join(', ')
        const at = new ConfigNode(this.#source, key, where)
        throw at.invalid(`unknown key: expected one of ${known}`)
      }
      members[name] = parse(member)
    }
    return members as { readonly [Key in keyof Members]?: ReturnType<Members[Key]> }
  }

  /** Every value of a list, or the one value that stands in place of a list. */
  list<Value>(parse: Parse<Value>): Value[] {
    const node = this.#node
    if (!isSeq(node)) return [parse(this)]
    return node.items.map((item, index) =>
      parse(new ConfigNode(this.#source, item, `${this.#where}[${index}]`)),
    )
  }

  text(): string {
    const value = this.#scalar()
    if (typeof value === 'string' && value !== '') return value
    throw this.invalid('expected a text')
  }

  /** A text that a parser of ours takes; its refusal gets the place. */
  parsed<Value>(parse: (text: string) => Value): Value {
    const text = this.text()
    try {
      return parse(text)
    } catch (error) {
      if (error instanceof InvalidArgumentError) throw this.invalid(error.message)
      throw error
    }
  }

  flag(): boolean {
    const value = this.#scalar()
    if (typeof value === 'boolean') return value
    throw this.invalid('expected true or false')
  }

  /** A whole number of 1 or more. */
  count(): number {
    const value = this.#scalar()
    if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0)
      return value
    throw this.invalid('expected a whole number of 1 or more')
  }

  /** Bytes: a whole number, or one with K, M, G or T behind it (powers of 1024). */
  bytes(): number {
    return this.#scaled(byteUnits, 'bytes as in 500M')
  }

  /** Milliseconds, of a text such as 90s, 30m, 12h or 7d. */
  duration(): number {
    return this.#scaled(timeUnits, 'a time as in 30s, 5m, 12h or 7d')
  }

  /** The error for a value that breaks a rule. */
  invalid(problem: string): InvalidArgumentError {
    const { path, lines } = this.#source
    const offset = offsetOf(this.#node)
    const { line, col } = lines.linePos(offset ?? 0)
    const place = `${path}:${line}:${col}`
    const name = this.#where === '' ? '' : ` ${this.#where}:`
    const found = isScalar(this.#node)
      ? `, found ${JSON.stringify(this.#node.value)}`
      : ''
    return new InvalidArgumentError(`${place}:${name} ${problem}${found}`, {
      path,
      line,
      key: this.#where,
    })
  }

  #scalar(): unknown {
    return isScalar(this.#node) ? this.#node.value : undefined
  }

  #scaled(units: Readonly<Record<string, number>>, expected: string): number {
    const [, digits, unit = ''] =
      /^(\d{1,15})([A-Za-z]*)$/.exec(String(this.#scalar())) ?? []
    const factor = units[unit]
    const value = Number(digits) * (factor ?? Number.NaN)
    if (Number.isSafeInteger(value)) return value
    throw this.invalid(`expected ${expected}`)
  }
}

const kibi = 1024
const byteUnits = { '': 1, K: kibi, M: kibi ** 2, G: kibi ** 3, T: kibi ** 4 }
const second = 1000
const timeUnits = {
  ms: 1,
  s: second,
  m: 60 * second,
  h: 3600 * second,
  d: 24 * 3600 * second,
}

function offsetOf(node: unknown): number | undefined {
  const range: unknown = Object(node)['range']
  return Array.isArray(range) && typeof range[0] === 'number' ? range[0] : undefined
}
