import { AmbiguousRefError, RefNotFoundError, TagNotFoundError } from '../errors.js'
import { type Digest, findDigest } from '../object/digest.js'
import { escapeBytes } from '../object/escape.js'
import type { ObjectType } from '../object/object-type.js'
import { findTagName, type TagName } from '../object/tag-name.js'
import type { ObjectStore } from '../store/object-store.js'
import type { TagStore } from './tag-store.js'

/** What a reference names. */
export type ResolvedRef = {
  readonly digest: Digest
  readonly type: ObjectType
  /** The tag that was named, if one was. */
  readonly tag?: TagName
}

const minPrefixDigits = 8
const shownCandidates = 10

/**
 * Finds what a reference names, tried in this order: a tag, `TAG@{n}` (n changes ago; 0 is
 * now), a full digest, the first 8 or more hex digits of the digest of one object only.
 *
 * Throws RefNotFoundError, AmbiguousRefError with the candidates among its facts, and
 * InvalidTagFileError for a tag that cannot be read.
 */
export async function resolveRef(
  text: string,
  { tags, objects }: { tags: TagStore; objects: ObjectStore },
): Promise<ResolvedRef> {
  const name = findTagName(text)
  const tagged = name === undefined ? undefined : await tags.find(name)
  if (name !== undefined && tagged !== undefined) {
    return { digest: tagged.digest, type: tagged.type, tag: name }
  }
  const past = /^(?<tag>[^@]+)@\{(?<count>\d{1,15})\}$/.exec(text)?.groups
  const pastName = findTagName(past?.['tag'] ?? '')
  if (pastName !== undefined) return resolvePast(tags, pastName, Number(past?.['count']))
  const digest = findDigest(text) ?? (await findByPrefix(text, objects))
  const [info] = digest === undefined ? [] : await objects.stat([digest])
  if (digest === undefined || info === undefined) throw notFound(text)
  return { digest, type: info.type }
}

async function resolvePast(
  tags: TagStore,
  name: TagName,
  count: number,
): Promise<ResolvedRef> {
  const ref = `${name}@{${count}}`
  const entries = await logOf(tags, name)
  const entry = entries[count]
  if (entry === undefined) {
    throw new RefNotFoundError(
      `no ${ref}: the log of tag ${name} goes from 0 to ${entries.length - 1}`,
      { ref, expected: `0 to ${entries.length - 1}` },
    )
  }
  if (entry.new === undefined) {
    throw new RefNotFoundError(`no ${ref}: the tag was removed then`, { ref })
  }
  return { digest: entry.new.digest, type: entry.new.type, tag: name }
}

async function logOf(tags: TagStore, name: TagName) {
  try {
    return await tags.log(name)
  } catch (error) {
    if (!(error instanceof TagNotFoundError)) throw error
    throw new RefNotFoundError(`no tag ${name}`, { ref: name }, { cause: error })
  }
}

async function findByPrefix(
  text: string,
  objects: ObjectStore,
): Promise<Digest | undefined> {
  if (!/^[0-9a-f]+$/.test(text) || text.length < minPrefixDigits) return undefined
  const candidates: Digest[] = []
  for await (const batch of objects.list(text)) {
    candidates.push(...batch.slice(0, shownCandidates + 1))
    if (candidates.length > shownCandidates) break
  }
  const [only, other] = candidates
  if (other === undefined) return only
  const shown = candidates.slice(0, shownCandidates).join(' ')
  const more = candidates.length > shownCandidates ? ' and more' : ''
  throw new AmbiguousRefError(
    `ambiguous reference ${text}: expected one object, found ${shown}${more}`,
    { ref: text, candidates: shown },
  )
}

function notFound(text: string): RefNotFoundError {
  const ref = escapeBytes(Buffer.from(text.slice(0, 200)))
  return new RefNotFoundError(
    `no tag and no object "${ref}": expected a tag, TAG@{n}, a digest or its first ${minPrefixDigits} or more digits`,
    { ref },
  )
}
