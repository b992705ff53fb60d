import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import {
  CairnError,
  InvalidTagFileError,
  TagConflictError,
  TagNotFoundError,
  TagProtectedError,
} from '../errors.js'
import { type Descriptor, encodeDescriptor } from '../object/descriptor.js'
import { escapeBytes } from '../object/escape.js'
import type { Tag } from '../object/tag-list.js'
import { findTagName, parseTagName, type TagName } from '../object/tag-name.js'
import type { ObjectReader } from '../store/object-store.js'
import type { FileCalls } from '../system/file-calls.js'
import { ensureFolder, removeIfThere, replaceFile, syncPath } from './durable-file.js'
import { readFolderNames, readTextNames } from './folder-names.js'
import { type LockOptions, withLock } from './lock.js'
import type { RepositoryPaths } from './repository-paths.js'
import { replacementName } from './stale-temp.js'
import { naming } from './system-failure.js'
import { checkTaggable } from './tag-closure.js'
import { readTagFile, type TagFile } from './tag-file.js'
import {
  foldHistory,
  reconcilingRecord,
  sameState,
  type TagLogEntry,
} from './tag-history.js'
import { readTagLog, TagLogWriter } from './tag-log.js'
import type { TagLogRecord } from './tag-log-record.js'
import { TagProtection } from './tag-protection.js'

/** How a tag is changed. */
export type TagChange = LockOptions & {
  /** What the tag must name now; anything else throws TagConflictError. */
  readonly expected?: Descriptor | 'absent'
  /** Who makes the change, for the log. */
  readonly who?: string
  /** Why, for the log. */
  readonly message?: string
  /** Moves or removes the tag although its name is protected. */
  readonly override?: 'protection'
}

/** What a change of a tag did. */
export type TagMove = {
  readonly name: TagName
  /** What the tag named before; undefined for no tag, or a file that could not be read. */
  readonly from: Descriptor | undefined
  readonly to: Descriptor | undefined
}

/** A file among the tags that was passed over. */
export type SkippedTag = {
  /** Its name, escaped for a terminal. */
  readonly name: string
  readonly path: string
  readonly reason: string
}

const tagsInTurn = 128

type TagState = TagFile | 'unreadable' | undefined

/**
 * The tags of a repository: one file each, as version 1 has them, and beside each a log of
 * its changes, which outlives the tag.
 *
 * Every name is checked on every call: InvalidTagNameError.
 */
export class TagStore {
  readonly #paths: RepositoryPaths
  readonly #objects: ObjectReader
  readonly #calls: FileCalls
  /** Which tags are never moved or removed once they are set. */
  readonly protection: TagProtection

  constructor(paths: RepositoryPaths, objects: ObjectReader, calls: FileCalls) {
    this.#paths = paths
    this.#objects = objects
    this.#calls = calls
    this.protection = new TagProtection(paths, calls)
  }

  /** What a tag names; throws TagNotFoundError, InvalidTagFileError. */
  async get(name: string): Promise<Descriptor> {
    const descriptor = await this.find(name)
    if (descriptor === undefined) throw tagNotFound(parseTagName(name))
    return descriptor
  }

  /** What a tag names; undefined when there is no such tag. Throws InvalidTagFileError. */
  async find(name: string): Promise<Descriptor | undefined> {
    return readTagFile(this.#tagPath(parseTagName(name)))?.descriptor
  }

  /**
   * Every tag, in byte order of names.
   *
   * Files with other names, and files that hold no descriptor, are passed over and told
   * to `onSkipped`.
   */
  async list(
    options: { onSkipped?: (skipped: SkippedTag) => void } = {},
  ): Promise<Tag[]> {
    const tags: Tag[] = []
    let read = 0
    for (const entry of readFolderNames(this.#paths.tags)) {
      read += 1
      // Thousands of small reads would keep a server from everything else.
      if (read % tagsInTurn === 0) await turn()
      const skip = (reason: string): void => {
        const escaped = escapeBytes(entry)
        const path = `${this.#paths.tags}/${escaped}`
        options.onSkipped?.({ name: escaped, path, reason })
      }
      const name = findTagName(entry.toString('latin1'))
      if (name === undefined) {
        skip('not a valid tag name')
        continue
      }
      const file = this.#readOrSkip(name, skip)
      if (file !== undefined) tags.push({ name, descriptor: file.descriptor })
    }
    return tags
  }

  /**
   * Makes a tag name an application, durably.
   *
   * The application and what it refers to must be in the repository:
   * WrongObjectTypeError, IncompleteClosureError, InvalidObjectError. The old value stays
   * when anything fails. A tag that names it already is left alone. TagProtectedError for
   * one that is protected and names something else.
   */
  async set(
    name: string,
    descriptor: Descriptor,
    change: TagChange = {},
  ): Promise<TagMove> {
    return this.#change(parseTagName(name), descriptor, change)
  }

  /** Removes a tag, durably; its log stays. Throws TagNotFoundError, TagProtectedError. */
  async remove(name: string, change: TagChange = {}): Promise<TagMove> {
    return this.#change(parseTagName(name), undefined, change)
  }

  /**
   * The changes of a tag, newest first: entry n is what `NAME@{n}` names, entry 0 is now.
   *
   * A removed tag has a log too. Throws TagNotFoundError when there never was such a tag,
   * InvalidTagFileError for a damaged log or tag file.
   */
  async log(name: string): Promise<TagLogEntry[]> {
    const parsed = parseTagName(name)
    const entries = await this.history(parsed)
    if (entries.length === 0) throw tagNotFound(parsed)
    return entries
  }

  /** As log; empty when there never was such a tag. */
  async history(name: TagName): Promise<TagLogEntry[]> {
    // File and log are two files: only what did not change in between belongs together.
    for (;;) {
      const file = readTagFile(this.#tagPath(name))
      const entries = foldHistory(readTagLog(this.#logPath(name)), file)
      const after = readTagFile(this.#tagPath(name))
      const isSame = sameState(file?.descriptor, after?.descriptor)
      if (isSame && file?.modified === after?.modified) return entries.toReversed()
    }
  }

  /** Names of all tags, in byte order, whether or not their files can be read. */
  async names(): Promise<TagName[]> {
    return readTextNames(this.#paths.tags).flatMap(name => findTagName(name) ?? [])
  }

  /** Names of all tags that have a log, also of those that were removed. */
  async listLogs(): Promise<TagName[]> {
    return readTextNames(this.#paths.tagLogs).flatMap(name => findTagName(name) ?? [])
  }

  /** Reads a whole log; throws InvalidTagFileError when it is damaged. */
  async checkLog(name: TagName): Promise<void> {
    const records = readTagLog(this.#logPath(name))
    while (records.next().done !== true);
  }

  async #change(
    name: TagName,
    wanted: Descriptor | undefined,
    change: TagChange,
  ): Promise<TagMove> {
    const path = this.#tagPath(name)
    return withLock(this.#paths, { ...change, mode: 'exclusive' }, async () => {
      if (wanted !== undefined) await checkTaggable(this.#objects, wanted)
      const state = readState(path, change)
      checkExpected(name, state, change.expected)
      if (wanted === undefined && state === undefined) throw tagNotFound(name)
      const from = descriptorOf(state)
      if (change.override === undefined) this.#checkProtection(name, from, wanted)
      await naming('change tag', path, () => this.#write(name, state, { wanted, change }))
      return { name, from, to: wanted }
    })
  }

  #checkProtection(
    name: TagName,
    from: Descriptor | undefined,
    wanted: Descriptor | undefined,
  ): void {
    if (from === undefined || sameState(from, wanted)) return
    const pattern = this.protection.find(name)
    if (pattern === undefined) return
    throw new TagProtectedError(
      `tag ${name} is protected by ${JSON.stringify(pattern)}: it stays at ${from.digest}`,
      { name, pattern, found: from.digest },
    )
  }

  async #write(
    name: TagName,
    state: TagState,
    { wanted, change }: { wanted: Descriptor | undefined; change: TagChange },
  ): Promise<void> {
    const path = this.#tagPath(name)
    const current = descriptorOf(state)
    if (wanted !== undefined && sameState(wanted, current)) {
      // It may be there since a crash that came before its sync.
      await syncPath(path, this.#calls)
      await syncPath(this.#paths.tags, this.#calls)
      return
    }
    await this.#record(name, current, { wanted, change })
    await this.#replace(path, wanted)
  }

  async #record(
    name: TagName,
    current: Descriptor | undefined,
    { wanted, change }: { wanted: Descriptor | undefined; change: TagChange },
  ): Promise<void> {
    await ensureFolder(this.#paths.tagLogs, this.#calls)
    await using log = TagLogWriter.open(this.#logPath(name), this.#calls)
    const time = BigInt(Date.now()) * 1_000_000n
    const reconciling = reconcilingRecord(log.last, current, time)
    const before = reconciling ?? log.last
    const record: TagLogRecord = {
      sequence: (before?.sequence ?? 0n) + 1n,
      time,
      kind: wanted === undefined ? 'remove' : 'set',
      old: current,
      new: wanted,
      who: change.who ?? '',
      message: change.message ?? '',
      signature: Buffer.alloc(0),
    }
    await log.append(reconciling === undefined ? [record] : [reconciling, record])
  }

  async #replace(path: string, wanted: Descriptor | undefined): Promise<void> {
    const calls = this.#calls
    if (wanted === undefined) {
      removeIfThere(path, calls)
      await syncPath(this.#paths.tags, calls)
      return
    }
    await ensureFolder(this.#paths.tags, calls)
    await ensureFolder(this.#paths.temp, calls)
    const temporary = join(this.#paths.temp, replacementName)
    await replaceFile(path, encodeDescriptor(wanted), { temporary, calls })
  }

  #readOrSkip(name: TagName, skip: (reason: string) => void): TagFile | undefined {
    try {
      // Undefined: removed since the folder was read.
      return readTagFile(this.#tagPath(name))
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
      skip(error.message)
      return undefined
    }
  }

  #tagPath(name: TagName): string {
    return join(this.#paths.tags, name)
  }

  #logPath(name: TagName): string {
    return join(this.#paths.tagLogs, name)
  }
}

// What another program left half-written may be replaced, but not compared with.
function readState(path: string, { expected }: TagChange): TagState {
  try {
    return readTagFile(path)
  } catch (error) {
    if (error instanceof InvalidTagFileError && expected === undefined) {
      return 'unreadable'
    }
    throw error
  }
}

function checkExpected(
  name: TagName,
  state: TagState,
  expected: TagChange['expected'],
): void {
  if (expected === undefined) return
  const wanted = expected === 'absent' ? undefined : expected
  const current = descriptorOf(state)
  if (sameState(wanted, current)) return
  const facts = { name, expected: shown(wanted), found: shown(current) }
  throw new TagConflictError(
    `tag ${name} has changed: expected ${facts.expected}, found ${facts.found}`,
    facts,
  )
}

function descriptorOf(state: TagState): Descriptor | undefined {
  return state === 'unreadable' ? undefined : state?.descriptor
}

function shown(descriptor: Descriptor | undefined): string {
  return descriptor?.digest ?? 'no tag'
}

function tagNotFound(name: TagName): TagNotFoundError {
  return new TagNotFoundError(`no tag ${name}`, { name })
}
