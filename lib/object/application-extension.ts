import { InvalidObjectError, NotRepresentableError } from '../errors.js'
import {
  type ApplicationConfig,
  configFromCbor,
  configToCbor,
} from './application-config.js'
import {
  type CborMember,
  type CborValue,
  checkCbor,
  decodeCbor,
  encodeCbor,
  joinCborMap,
  splitCborMap,
} from './canonical-cbor.js'
import { type Digest, digestBytes, findDigestBytes } from './digest.js'
import { decodeHardLinks, encodeHardLinks, type HardLinkGroup } from './hard-links.js'

/** A member of a newer version that readers of this one keep byte for byte. */
export type UnknownMember = { readonly key: bigint; readonly encoded: Buffer }

/** What may follow the version 1 fields of an application: one CBOR map (docs/format.md). */
export type ApplicationExtension = {
  readonly config?: ApplicationConfig
  /** Applications that this one was made from; not part of its closure. */
  readonly parents?: readonly Digest[]
  /** Seconds since 1970-01-01 UTC, within 64 bits. */
  readonly created?: bigint
  readonly hardLinks?: readonly HardLinkGroup[]
  /** Encoded modification times: see modification-times.ts. */
  readonly modificationTimes?: Buffer
  /** Members with keys from 64 on, ascending. */
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

const minCreated = -(2n ** 63n)
const maxCreated = 2n ** 63n - 1n

/**
 * Encodes the map; undefined for an extension that says nothing.
 *
 * A member that is empty says nothing and is left out, so that there is one form only.
 * Throws InvalidObjectError or NotRepresentableError for what a decoder would refuse.
 */
export function encodeExtension(extension: ApplicationExtension): Buffer | undefined {
  const members: CborMember[] = []
  const { config, parents = [], created, hardLinks = [] } = extension
  const { modificationTimes = Buffer.alloc(0), unknown = [] } = extension
  const configMap = configToCbor(config ?? {})
  if (configMap.size > 0) {
    members.push({ key: keys.config, value: encodeCbor(configMap) })
  }
  if (parents.length > 0) {
    members.push({ key: keys.parents, value: encodeCbor(parents.map(digestBytes)) })
  }
  if (created !== undefined) {
    if (created < minCreated || created > maxCreated) {
      throw new NotRepresentableError(
        `the creation time does not fit: expected a signed 64-bit number, found ${created}`,
        { field: 'created', found: String(created) },
      )
    }
    members.push({ key: keys.created, value: encodeCbor(created) })
  }
  if (hardLinks.length > 0) {
    members.push({ key: keys.hardLinks, value: encodeHardLinks(hardLinks) })
  }
  if (modificationTimes.length > 0) {
    members.push({ key: keys.modificationTimes, value: encodeCbor(modificationTimes) })
  }
  let before = firstIgnorableKey - 1n
  for (const { key, encoded } of unknown) {
    if (key <= before) throw invalid(`key ${key} is below 64, out of order or repeated`)
    before = key
    checkCbor(encoded, 'any')
    members.push({ key, value: encoded })
  }
  return members.length === 0 ? undefined : joinCborMap(members)
}

/** Decodes the map; throws InvalidObjectError for anything but its one valid form. */
export function decodeExtension(bytes: Uint8Array): ApplicationExtension {
  // Hard links may be too many to be built as plain values: they are read in their own way.
  const members = splitCborMap(bytes, key =>
    key >= firstIgnorableKey || key === keys.hardLinks ? 'any' : 'subset',
  )
  if (members.length === 0) throw invalid('the map is empty')
  let extension: ApplicationExtension = {}
  const unknown: UnknownMember[] = []
  for (const { key, value } of members) {
    if (key >= firstIgnorableKey) unknown.push({ key, encoded: Buffer.from(value) })
    else extension = { ...extension, ...decodeMember(key, value) }
  }
  return unknown.length === 0 ? extension : { ...extension, unknown }
}

function decodeMember(key: bigint, encoded: Uint8Array): ApplicationExtension {
  switch (key) {
    case keys.config:
      return { config: configFromCbor(decodeCbor(encoded)) }
    case keys.parents:
      return { parents: parentsOf(decodeCbor(encoded)) }
    case keys.created:
      return { created: createdOf(decodeCbor(encoded)) }
    case keys.hardLinks: {
      const hardLinks = decodeHardLinks(encoded)
      if (hardLinks.length === 0) throw invalid('hard links are empty')
      return { hardLinks }
    }
    case keys.modificationTimes:
      return { modificationTimes: modificationTimesOf(decodeCbor(encoded)) }
    default:
      throw invalid(`unknown critical key ${key}: made by a newer version`)
  }
}

function parentsOf(value: CborValue): Digest[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw invalid('parents are no array with members')
  }
  return value.map((parent: unknown) => {
    const digest = parent instanceof Uint8Array ? findDigestBytes(parent) : undefined
    if (digest === undefined) throw invalid('a parent is no digest')
    return digest
  })
}

function createdOf(value: CborValue): bigint {
  if (typeof value !== 'number' && typeof value !== 'bigint') {
    throw invalid('the creation time is no integer')
  }
  const created = BigInt(value)
  if (created < minCreated || created > maxCreated) {
    throw invalid(`the creation time is beyond 64 bits: found ${created}`)
  }
  return created
}

function modificationTimesOf(value: CborValue): Buffer {
  if (!Buffer.isBuffer(value) || value.length === 0) {
    throw invalid('modification times are no byte string with content')
  }
  return value
}

function invalid(problem: string): InvalidObjectError {
  return new InvalidObjectError(`invalid application extension: ${problem}`, {
    what: 'application extension',
  })
}
