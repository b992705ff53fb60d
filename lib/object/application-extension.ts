import { InvalidObjectError } from '../errors.js'
import {
  type CborKey,
  type CborMember,
  type CborValue,
  decodeCbor,
  encodeCbor,
  joinCborMap,
  splitCborMap,
} from './canonical-cbor.js'
import { type Digest, digestBytes, parseDigestBytes } from './digest.js'

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

/** One set of names for one file: ordinals of entries, ascending, at least two. */
export type HardLinkGroup = readonly number[]

/** A member of a newer version that readers of this one keep byte for byte. */
export type UnknownMember = { readonly key: bigint; readonly encoded: Buffer }

/**
 * What may follow the version 1 fields of an application: one CBOR map (docs/format.md).
 *
 * Ordinals count entries in walk order: the root is 0, then stored order, depth first.
 */
export type ApplicationExtension = {
  readonly config?: ApplicationConfig
  /** Applications that this one was made from; not part of its closure. */
  readonly parents?: readonly Digest[]
  /** Seconds since 1970-01-01 UTC. */
  readonly created?: bigint
  readonly hardLinks?: readonly HardLinkGroup[]
  /** Encoded modification times: see modification-times.ts. */
  readonly modificationTimes?: Buffer
  /** Members with keys from 64 on. */
  readonly unknown?: readonly UnknownMember[]
}

const keys = {
  config: 1n,
  parents: 2n,
  created: 3n,
  hardLinks: 4n,
  modificationTimes: 5n,
}

/** Keys below this one change the meaning of an application: unknown ones are refused. */
const firstIgnorableKey = 64n

/** Encodes the map; undefined for an extension that says nothing. */
export function encodeExtension(extension: ApplicationExtension): Buffer | undefined {
  const members: CborMember[] = []
  const add = (key: bigint, value: CborValue): void => {
    members.push({ key, value: encodeCbor(value) })
  }
  const { config, parents, created, hardLinks, modificationTimes } = extension
  if (config !== undefined) add(keys.config, configToCbor(config))
  if (parents !== undefined) add(keys.parents, parents.map(digestBytes))
  if (created !== undefined) add(keys.created, created)
  if (hardLinks !== undefined) {
    checkHardLinks(hardLinks)
    add(keys.hardLinks, hardLinks)
  }
  if (modificationTimes !== undefined) add(keys.modificationTimes, modificationTimes)
  for (const { key, encoded } of extension.unknown ?? []) {
    members.push({ key, value: encoded })
  }
  return members.length === 0 ? undefined : joinCborMap(members)
}

/** Decodes the map; throws InvalidObjectError for anything but its one valid form. */
export function decodeExtension(bytes: Uint8Array): ApplicationExtension {
  const members = splitCborMap(bytes)
  if (members.length === 0) throw invalid('the map is empty')
  let extension: ApplicationExtension = {}
  const unknown: UnknownMember[] = []
  for (const { key, value } of members) {
    if (key >= firstIgnorableKey) unknown.push({ key, encoded: Buffer.from(value) })
    else extension = { ...extension, ...decodeMember(key, decodeCbor(value)) }
  }
  return unknown.length === 0 ? extension : { ...extension, unknown }
}

function decodeMember(key: bigint, value: CborValue): ApplicationExtension {
  switch (key) {
    case keys.config:
      return { config: configFromCbor(value) }
    case keys.parents:
      return { parents: asArray(value, 'parents').map(asDigest) }
    case keys.created:
      return { created: asInteger(value, 'created') }
    case keys.hardLinks: {
      const hardLinks = asArray(value, 'hard links').map(asHardLinkGroup)
      checkHardLinks(hardLinks)
      return { hardLinks }
    }
    case keys.modificationTimes:
      return { modificationTimes: asBytes(value, 'modification times') }
    default:
      throw invalid(`unknown critical key ${key}: made by a newer version`)
  }
}

// Groups ascend by first member, members ascend, no ordinal stands twice: one form only.
function checkHardLinks(groups: readonly HardLinkGroup[]): void {
  const seen = new Set<number>()
  let beforeFirst = -1
  for (const group of groups) {
    if (group.length < 2) throw invalid('a hard-link group has fewer than two members')
    let before = -1
    for (const ordinal of group) {
      if (ordinal <= before) throw invalid('members of a hard-link group do not ascend')
      if (seen.has(ordinal)) throw invalid(`entry ${ordinal} is in two hard-link groups`)
      seen.add(ordinal)
      before = ordinal
    }
    const first = group[0] ?? 0
    if (first <= beforeFirst) throw invalid('hard-link groups do not ascend')
    beforeFirst = first
  }
}

const configKeys = {
  command: 1,
  environment: 2,
  workingFolder: 3,
  user: 4,
  labels: 5,
  annotations: 6,
} as const

function configToCbor(config: ApplicationConfig): CborValue {
  const map = new Map<CborKey, CborValue>()
  const { command, environment, workingFolder, user, labels, annotations } = config
  if (command !== undefined) map.set(configKeys.command, command)
  if (environment !== undefined) map.set(configKeys.environment, environment)
  if (workingFolder !== undefined) map.set(configKeys.workingFolder, workingFolder)
  if (user !== undefined) map.set(configKeys.user, user)
  if (labels !== undefined) map.set(configKeys.labels, new Map(Object.entries(labels)))
  if (annotations !== undefined) {
    map.set(configKeys.annotations, new Map(Object.entries(annotations)))
  }
  return map
}

function configFromCbor(value: CborValue): ApplicationConfig {
  let config: ApplicationConfig = {}
  for (const [key, member] of asMap(value, 'config')) {
    config = { ...config, ...configMember(key, member) }
  }
  return config
}

function configMember(key: CborKey, value: CborValue): ApplicationConfig {
  switch (key) {
    case configKeys.command:
      return { command: asArray(value, 'command').map(item => asText(item, 'command')) }
    case configKeys.environment:
      return {
        environment: asArray(value, 'environment').map(item =>
          asText(item, 'environment'),
        ),
      }
    case configKeys.workingFolder:
      return { workingFolder: asText(value, 'working folder') }
    case configKeys.user:
      return { user: asText(value, 'user') }
    case configKeys.labels:
      return { labels: asTextMap(value, 'labels') }
    case configKeys.annotations:
      return { annotations: asTextMap(value, 'annotations') }
    default:
      throw invalid(`unknown config key ${key}`)
  }
}

function asArray(value: CborValue, field: string): readonly CborValue[] {
  if (!Array.isArray(value)) throw invalid(`${field} is no array`)
  return value as readonly CborValue[]
}

function asMap(value: CborValue, field: string): ReadonlyMap<CborKey, CborValue> {
  if (!(value instanceof Map)) throw invalid(`${field} is no map`)
  return value
}

function asText(value: CborValue, field: string): string {
  if (typeof value !== 'string') throw invalid(`${field} is no text`)
  return value
}

function asTextMap(value: CborValue, field: string): Record<string, string> {
  const entries = [...asMap(value, field)].map(([key, member]) => [
    asText(key, field),
    asText(member, field),
  ])
  return Object.fromEntries(entries) as Record<string, string>
}

function asBytes(value: CborValue, field: string): Buffer {
  if (!(value instanceof Uint8Array)) throw invalid(`${field} is no byte string`)
  return Buffer.from(value)
}

function asInteger(value: CborValue, field: string): bigint {
  if (typeof value !== 'number' && typeof value !== 'bigint') {
    throw invalid(`${field} is no integer`)
  }
  return BigInt(value)
}

function asOrdinal(value: CborValue): number {
  const ordinal = asInteger(value, 'an entry ordinal')
  if (ordinal < 0n || ordinal > 0xffff_ffffn)
    throw invalid(`no entry ordinal: ${ordinal}`)
  return Number(ordinal)
}

function asHardLinkGroup(value: CborValue): HardLinkGroup {
  return asArray(value, 'a hard-link group').map(asOrdinal)
}

function asDigest(value: CborValue): Digest {
  return parseDigestBytes(asBytes(value, 'a parent digest'))
}

function invalid(problem: string): InvalidObjectError {
  return new InvalidObjectError(`invalid application extension: ${problem}`, {
    what: 'application extension',
  })
}
