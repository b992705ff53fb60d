import { InvalidObjectError } from '../errors.js'
import type { CborKey, CborValue } from './canonical-cbor.js'

/** How an application is meant to be run, and what is said of it. */
export type ApplicationConfig = {
  readonly command?: readonly string[]
  /** `NAME=VALUE` each. */
  readonly environment?: readonly string[]
  readonly workingFolder?: string
  readonly user?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

const keys = {
  command: 1,
  environment: 2,
  workingFolder: 3,
  user: 4,
  labels: 5,
  annotations: 6,
} as const

/** Makes the CBOR map of a config (docs/format.md). */
export function configToCbor(config: ApplicationConfig): ReadonlyMap<CborKey, CborValue> {
  const map = new Map<CborKey, CborValue>()
  const { command, environment, workingFolder, user, labels, annotations } = config
  if (command !== undefined) map.set(keys.command, command)
  if (environment !== undefined) map.set(keys.environment, environment)
  if (workingFolder !== undefined) map.set(keys.workingFolder, workingFolder)
  if (user !== undefined) map.set(keys.user, user)
  if (labels !== undefined) map.set(keys.labels, new Map(Object.entries(labels)))
  if (annotations !== undefined) {
    map.set(keys.annotations, new Map(Object.entries(annotations)))
  }
  return map
}

/** Reads a config from its CBOR map; throws InvalidObjectError, also for unknown keys. */
export function configFromCbor(value: CborValue): ApplicationConfig {
  const map = asMap(value, 'config')
  if (map.size === 0) throw invalid('the config is empty')
  let config: ApplicationConfig = {}
  for (const [key, member] of map) config = { ...config, ...memberOf(key, member) }
  return config
}

function memberOf(key: CborKey, value: CborValue): ApplicationConfig {
  switch (key) {
    case keys.command:
      return { command: asTexts(value, 'command') }
    case keys.environment:
      return { environment: asTexts(value, 'environment') }
    case keys.workingFolder:
      return { workingFolder: asText(value, 'working folder') }
    case keys.user:
      return { user: asText(value, 'user') }
    case keys.labels:
      return { labels: asTextMap(value, 'labels') }
    case keys.annotations:
      return { annotations: asTextMap(value, 'annotations') }
    default:
      throw invalid(`unknown config key ${key}`)
  }
}

function asTexts(value: CborValue, field: string): string[] {
  if (!Array.isArray(value)) throw invalid(`${field} is no array`)
  return value.map(item => asText(item as CborValue, field))
}

function asMap(value: CborValue, field: string): ReadonlyMap<CborKey, CborValue> {
  if (!(value instanceof Map)) throw invalid(`${field} is no map`)
  return value as ReadonlyMap<CborKey, CborValue>
}

function asText(value: CborValue, field: string): string {
  if (typeof value !== 'string') throw invalid(`${field} is no text`)
  return value
}

function asTextMap(value: CborValue, field: string): Readonly<Record<string, string>> {
  const members = [...asMap(value, field)]
  return Object.fromEntries(
    members.map(([key, member]) => [asText(key, field), asText(member, field)]),
  )
}

function invalid(problem: string): InvalidObjectError {
  return new InvalidObjectError(`invalid application config: ${problem}`, {
    what: 'application config',
  })
}
