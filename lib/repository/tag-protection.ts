import { join } from 'node:path'
import { CairnError, InvalidArgumentError, InvalidRepositoryError } from '../errors.js'
import {
  matchesName,
  type NamePattern,
  parseNamePattern,
} from '../object/name-pattern.js'
import type { TagName } from '../object/tag-name.js'
import type { FileCalls } from '../system/file-calls.js'
import { encodeCanonicalJson } from './canonical-json.js'
import { ensureFolder, replaceFile } from './durable-file.js'
import { type LockOptions, withLock } from './lock.js'
import { readRepositoryFile } from './repository-file.js'
import type { RepositoryPaths } from './repository-paths.js'
import { replacementName } from './stale-temp.js'
import { named, naming } from './system-failure.js'

const maxPatterns = 1000

/**
 * Which tags are never moved or removed once they are set: `ROOT/protected-tags.json`, one
 * canonical JSON object of `"patterns"`, each `*` in one standing for any characters.
 */
export class TagProtection {
  readonly #paths: RepositoryPaths
  readonly #calls: FileCalls

  constructor(paths: RepositoryPaths, calls: FileCalls) {
    this.#paths = paths
    this.#calls = calls
  }

  /** Every pattern, in byte order; throws InvalidRepositoryError for a damaged file. */
  list(): NamePattern[] {
    const path = this.#paths.protectedTags
    const text = readIfThere(path)
    if (text === undefined) return []
    try {
      return parse(JSON.parse(text))
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof CairnError)) throw error
      throw new InvalidRepositoryError(
        `invalid list of protected tags ${path}: ${error.message}`,
        { path },
        { cause: error },
      )
    }
  }

  /** The first pattern that protects a tag; undefined when none does. */
  find(name: TagName): NamePattern | undefined {
    return this.list().find(pattern => matchesName(pattern, name))
  }

  /** Adds a pattern, durably; false when it was there. Throws InvalidArgumentError. */
  async add(text: string, options: LockOptions = {}): Promise<boolean> {
    const pattern = parseNamePattern(text)
    return this.#change(options, patterns => {
      if (patterns.includes(pattern)) return undefined
      if (patterns.length >= maxPatterns) {
        throw new InvalidArgumentError(
          `too many patterns: expected at most ${maxPatterns}, found one more`,
          { limit: maxPatterns },
        )
      }
      return [...patterns, pattern].toSorted()
    })
  }

  /** Takes a pattern away, durably; false when there was none such. */
  async remove(text: string, options: LockOptions = {}): Promise<boolean> {
    const pattern = parseNamePattern(text)
    return this.#change(options, patterns =>
      patterns.includes(pattern) ? patterns.filter(each => each !== pattern) : undefined,
    )
  }

  async #change(
    options: LockOptions,
    change: (patterns: readonly NamePattern[]) => readonly NamePattern[] | undefined,
  ): Promise<boolean> {
    return withLock(this.#paths, { ...options, mode: 'exclusive' }, async () => {
      const patterns = change(this.list())
      if (patterns === undefined) return false
      const path = this.#paths.protectedTags
      await naming('write', path, async () => {
        await ensureFolder(this.#paths.temp, this.#calls)
        const temporary = join(this.#paths.temp, replacementName)
        const bytes = encodeCanonicalJson({ patterns })
        await replaceFile(path, bytes, { temporary, calls: this.#calls })
      })
      return true
    })
  }
}

function parse(value: unknown): NamePattern[] {
  const patterns: unknown = Object(value)['patterns']
  const isList = Array.isArray(patterns) && patterns.length <= maxPatterns
  if (!isList || Object.keys(Object(value)).length !== 1) {
    throw new InvalidArgumentError(
      `expected {"patterns": [...]} with at most ${maxPatterns} and nothing else`,
    )
  }
  return patterns.map(pattern => parseNamePattern(String(pattern)))
}

function readIfThere(path: string): string | undefined {
  try {
    return readRepositoryFile(path)?.toString('utf8')
  } catch (error) {
    throw named(error, 'read', path)
  }
}
