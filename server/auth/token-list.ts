import { CairnError, InvalidArgumentError } from '../../lib/errors.js'
import { encodeCanonicalJson } from '../../lib/repository/canonical-json.js'
import { type Grant, parseGrant } from './grants.js'

/** A token as the server keeps it. */
export type TokenRecord = {
  /** 8 hex digits, to speak of it. */
  readonly id: string
  readonly name: string
  /** SHA-256 of the token, in hex. */
  readonly sha256: string
  /** Milliseconds since 1970-01-01 UTC, as are the next two. */
  readonly created: number
  readonly expires: number | undefined
  readonly revoked: number | undefined
  readonly grant: Grant
}

const maxTokens = 100_000
const keys = [
  'actions',
  'created',
  'expires',
  'id',
  'name',
  'repositories',
  'revoked',
  'sha256',
]

/** Encodes a list: canonical JSON. */
export function encodeTokenList(tokens: readonly TokenRecord[]): Buffer {
  return encodeCanonicalJson({
    version: 1,
    tokens: tokens.map(({ id, name, sha256, created, expires, revoked, grant }) => ({
      id,
      name,
      sha256,
      created: textOfTime(created),
      expires: expires === undefined ? null : textOfTime(expires),
      revoked: revoked === undefined ? null : textOfTime(revoked),
      repositories: grant.repositories.map(({ text }) => text),
      actions: grant.actions,
    })),
  })
}

/** Decodes a list strictly; throws InvalidArgumentError that names `path`. */
export function decodeTokenList(text: string, path: string): TokenRecord[] {
  try {
    const { version, tokens, ...rest } = Object(JSON.parse(text)) as Record<
      string,
      unknown
    >
    if (version !== 1)
      throw invalid(`version: expected 1, found ${JSON.stringify(version)}`)
    const [extra] = Object.keys(rest)
    if (extra !== undefined) throw invalid(`unknown key ${JSON.stringify(extra)}`)
    if (!Array.isArray(tokens) || tokens.length > maxTokens) {
      throw invalid(`tokens: expected a list of at most ${maxTokens}`)
    }
    return tokens.map((token, index) => parseRecord(Object(token), `tokens[${index}]`))
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof CairnError)) throw error
    throw new InvalidArgumentError(
      `invalid token file ${path}: ${error.message}`,
      { path },
      { cause: error },
    )
  }
}

function parseRecord(fields: Record<string, unknown>, where: string): TokenRecord {
  for (const key of Object.keys(fields)) {
    if (!keys.includes(key)) throw invalid(`${where}: unknown key ${JSON.stringify(key)}`)
  }
  const text = (key: string, rule: RegExp): string => {
    const value = fields[key]
    if (typeof value === 'string' && rule.test(value)) return value
    throw invalid(`${where}.${key}: expected ${rule}, found ${JSON.stringify(value)}`)
  }
  const list = (key: string): string[] => {
    const value = fields[key]
    if (Array.isArray(value) && value.every(each => typeof each === 'string'))
      return value
    throw invalid(`${where}.${key}: expected a list of texts`)
  }
  const time = (key: string): number => {
    const value = fields[key]
    const parsed = typeof value === 'string' ? Date.parse(value) : Number.NaN
    if (Number.isNaN(parsed)) throw invalid(`${where}.${key}: expected a time`)
    return parsed
  }
  const optionalTime = (key: string): number | undefined =>
    fields[key] === null ? undefined : time(key)
  return {
    id: text('id', /^[0-9a-f]{8}$/),
    name: text('name', tokenNameRule),
    sha256: text('sha256', /^[0-9a-f]{64}$/),
    created: time('created'),
    expires: optionalTime('expires'),
    revoked: optionalTime('revoked'),
    grant: parseGrant(list('repositories'), list('actions')),
  }
}

const tokenNameRule = /^[0-9A-Za-z_][0-9A-Za-z_.@-]{0,63}$/

/** Parses the name of a token; throws InvalidArgumentError. */
export function parseTokenName(text: string): string {
  if (tokenNameRule.test(text)) return text
  const shown = JSON.stringify(text.slice(0, 100))
  throw new InvalidArgumentError(
    `invalid token name ${shown}: expected 1 to 64 of letters, digits, "_", ".", "@" ` +
      'and "-", the first a letter, digit or "_"',
    { found: shown },
  )
}

function textOfTime(time: number): string {
  return new Date(time).toISOString()
}

function invalid(problem: string): InvalidArgumentError {
  return new InvalidArgumentError(problem)
}
