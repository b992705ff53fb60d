import { type BigIntStats, lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { escapeBytes } from '../object/escape.js'
import { DirectoryDescent } from '../system/directory-descent.js'
import { hasNativeCalls } from '../system/libc.js'
import { findXattr, listXattrs } from '../system/xattr.js'
import { ContentComparison } from './content-comparison.js'
import { PathTrail } from './path-trail.js'

/** What of an entry is compared. */
export type ComparedPart =
  | 'type'
  | 'permissions'
  | 'owner'
  | 'xattrs'
  | 'content'
  | 'target'
  | 'device'
  | 'hard-links'
  | 'modification-time'

/** One thing in which two folders differ. */
export type FolderDifference = {
  readonly path: Buffer
  readonly part: ComparedPart | 'missing' | 'extra'
  readonly expected?: string
  readonly found?: string
}

/** What a comparison found. */
export type FolderComparison = {
  /** Entries that both have, the two roots counted as one. */
  readonly entries: number
  /** Content bytes that were compared. */
  readonly bytes: number
  /** The first differences. */
  readonly differences: readonly FolderDifference[]
  /** All of them. */
  readonly differenceCount: number
}

/** How folders are compared. */
export type CompareOptions = {
  /** Parts that may differ, since the tree did not hold them or the user may not set them. */
  readonly ignore?: readonly ComparedPart[] | undefined
  readonly maxDifferences?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Compares two folders as they lie on disk: types, permissions, owners, extended
 * attributes, contents, link targets, devices, hard-link identity, modification times.
 *
 * It shares nothing with the code that stores trees and checks them out, so that it can
 * bear witness to them. Throws the system's errors.
 */
export async function compareFolders(
  expected: string,
  found: string,
  options: CompareOptions = {},
): Promise<FolderComparison> {
  using comparison = new Comparison(expected, found, options)
  return await comparison.run()
}

type Pair<T> = { readonly expected: T; readonly found: T }

class Comparison implements Disposable {
  readonly #descents: Pair<DirectoryDescent>
  readonly #ignored: ReadonlySet<string>
  readonly #max: number
  readonly #signal: AbortSignal | undefined
  readonly #trail = new PathTrail()
  readonly #inodes: Pair<Map<string, string>> = { expected: new Map(), found: new Map() }
  readonly #contents: ContentComparison
  readonly #differences: FolderDifference[] = []
  #differenceCount = 0
  #entries = 0

  constructor(expected: string, found: string, options: CompareOptions) {
    this.#ignored = new Set(options.ignore ?? [])
    this.#max = options.maxDifferences ?? 100
    this.#signal = options.signal
    this.#contents = new ContentComparison(options.signal)
    const first = new DirectoryDescent(expected)
    try {
      this.#descents = { expected: first, found: new DirectoryDescent(found) }
    } catch (error) {
      first[Symbol.dispose]()
      throw error
    }
  }

  async run(): Promise<FolderComparison> {
    this.#compareEntry(Buffer.from('.'), Buffer.alloc(0))
    const levels: Buffer[][] = [this.#compareNames()]
    for (let folders = levels.at(-1); folders !== undefined; folders = levels.at(-1)) {
      this.#signal?.throwIfAborted()
      const name = folders.pop()
      if (name === undefined) {
        levels.pop()
        if (levels.length > 0) this.#leave()
        continue
      }
      // Lets timers and signals in: everything else here is synchronous.
      await new Promise(resolve => setImmediate(resolve))
      this.#descents.expected.enter(name)
      this.#descents.found.enter(name)
      this.#trail.enter(name)
      levels.push(this.#compareNames())
    }
    return {
      entries: this.#entries,
      bytes: this.#contents.bytes,
      differences: this.#differences,
      differenceCount: this.#differenceCount,
    }
  }

  [Symbol.dispose](): void {
    this.#descents.expected[Symbol.dispose]()
    this.#descents.found[Symbol.dispose]()
  }

  #leave(): void {
    this.#descents.expected.leave()
    this.#descents.found.leave()
    this.#trail.leave()
  }

  // Compares what is in the present folders; returns the folders that both have.
  #compareNames(): Buffer[] {
    const expected = namesIn(this.#descents.expected)
    const found = namesIn(this.#descents.found)
    const folders: Buffer[] = []
    for (const [key, name] of expected) {
      const path = this.#trail.at(name)
      if (!found.has(key)) this.#differ(path, 'missing')
      else if (this.#compareEntry(name, path)) folders.push(name)
    }
    for (const [key, name] of found) {
      if (!expected.has(key)) this.#differ(this.#trail.at(name), 'extra')
    }
    return folders
  }

  // True for a folder on both sides.
  #compareEntry(name: Buffer, path: Buffer): boolean {
    this.#entries++
    const paths = {
      expected: this.#descents.expected.path(name),
      found: this.#descents.found.path(name),
    }
    const one = lstatSync(paths.expected, { bigint: true })
    const other = lstatSync(paths.found, { bigint: true })
    if ((one.mode & 0o170000n) !== (other.mode & 0o170000n)) {
      this.#differ(path, 'type', octal(one.mode), octal(other.mode))
      return false
    }
    this.#compareStats(path, { expected: one, found: other })
    this.#compareXattrs(path, paths)
    if (one.isSymbolicLink()) this.#compareTargets(path, paths)
    if (one.isFile() && !this.#ignored.has('content')) this.#compareContents(path, paths)
    return one.isDirectory()
  }

  #compareStats(path: Buffer, { expected, found }: Pair<BigIntStats>): void {
    const same = (part: ComparedPart, one: string, other: string): void => {
      if (one !== other) this.#differ(path, part, one, other)
    }
    same('permissions', octal(expected.mode & 0o7777n), octal(found.mode & 0o7777n))
    same('owner', `${expected.uid}:${expected.gid}`, `${found.uid}:${found.gid}`)
    if (expected.isBlockDevice() || expected.isCharacterDevice()) {
      same('device', String(expected.rdev), String(found.rdev))
    }
    same('modification-time', String(expected.mtimeNs), String(found.mtimeNs))
    if (expected.isDirectory()) return
    if (expected.nlink === 1n && found.nlink === 1n) return
    // Names of one file on one side must be names of one file on the other.
    const one = inodeOf(expected)
    const other = inodeOf(found)
    const seenOther = this.#inodes.expected.get(one) ?? other
    const seenOne = this.#inodes.found.get(other) ?? one
    this.#inodes.expected.set(one, seenOther)
    this.#inodes.found.set(other, seenOne)
    if (seenOther !== other || seenOne !== one) this.#differ(path, 'hard-links')
  }

  #compareXattrs(path: Buffer, paths: Pair<Buffer>): void {
    if (!hasNativeCalls()) return
    const expected = readXattrs(paths.expected)
    const found = readXattrs(paths.found)
    if (expected !== found) this.#differ(path, 'xattrs', expected, found)
  }

  #compareTargets(path: Buffer, paths: Pair<Buffer>): void {
    const expected = readlinkSync(paths.expected, { encoding: 'buffer' })
    const found = readlinkSync(paths.found, { encoding: 'buffer' })
    if (!expected.equals(found)) {
      this.#differ(path, 'target', escapeBytes(expected), escapeBytes(found))
    }
  }

  #compareContents(path: Buffer, { expected, found }: Pair<Buffer>): void {
    if (!this.#contents.isSame(expected, found)) this.#differ(path, 'content')
  }

  #differ(
    path: Buffer,
    part: FolderDifference['part'],
    expected?: string,
    found?: string,
  ): void {
    if (this.#ignored.has(part)) return
    this.#differenceCount++
    if (this.#differences.length >= this.#max) return
    const values =
      expected === undefined || found === undefined ? {} : { expected, found }
    this.#differences.push({ path, part, ...values })
  }
}

function namesIn(descent: DirectoryDescent): Map<string, Buffer> {
  const names = readdirSync(descent.path(Buffer.from('.')), { encoding: 'buffer' })
  return new Map(names.map(name => [name.toString('latin1'), name]))
}

function inodeOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`
}

function readXattrs(path: Buffer): string {
  const lines = listXattrs(path).map(key => {
    const value = findXattr(path, key) ?? Buffer.alloc(0)
    return `${escapeBytes(key)}=${value.toString('hex')}`
  })
  return lines.toSorted().join(' ')
}

function octal(mode: bigint): string {
  return mode.toString(8).padStart(4, '0')
}
