import { lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { QuotaExceededError } from '../lib/errors.js'
import type { Repository } from '../lib/repository/repository.js'
import { isErrno } from '../lib/system/errno.js'
import { SharedRun } from './shared-run.js'

/** What a push adds to a repository; disposing takes it back, unless it is kept. */
export type AddedBytes = Disposable & {
  /** Notes bytes that came; throws QuotaExceededError. */
  readonly add: (bytes: number) => void
  /** Says that the push was whole. */
  readonly keep: () => void
}

type Known = {
  bytes: number
  readonly measured: number
  /** What came since, by pushes that may have ended. */
  added: number
}

const unbounded: AddedBytes = {
  add: () => undefined,
  keep: () => undefined,
  [Symbol.dispose]: () => undefined,
}

// Pushes are counted as they come, plain; what they took on disk shows the next measure.
const measureAgainMs = 60_000

/**
 * Knows how many bytes each repository takes on disk, and holds pushes to a quota.
 *
 * Measuring walks the repository's folder without blocking; between two measures what
 * pushes bring is added.
 */
export class StoredBytes {
  readonly #known = new Map<string, Known>()
  readonly #runs = new Map<string, SharedRun<Known>>()

  /**
   * Begins a push into a repository that may hold `quota` bytes; throws
   * QuotaExceededError when it does already.
   */
  async begin(repository: Repository, quota: number | undefined): Promise<AddedBytes> {
    if (quota === undefined) return unbounded
    const { root } = repository
    const known = await this.#measure(root)
    let own = 0
    const change = (more: number): Known => {
      const now = this.#known.get(root) ?? known
      own += more
      now.added = Math.max(0, now.added + more)
      return now
    }
    const check = (more: number): void => {
      const now = change(more)
      const found = now.bytes + now.added
      if (more > 0 ? found <= quota : found < quota) return
      throw new QuotaExceededError(
        `the repository is full: expected at most ${quota} bytes, found ${found}`,
        { limit: quota, found, unit: 'bytes' },
      )
    }
    check(0)
    return {
      add: check,
      keep: () => {
        own = 0
      },
      [Symbol.dispose]: () => void change(-own),
    }
  }

  /** Throws QuotaExceededError when a repository is full. */
  async check(repository: Repository, quota: number | undefined): Promise<void> {
    const added = await this.begin(repository, quota)
    added[Symbol.dispose]()
  }

  async #measure(root: string): Promise<Known> {
    const known = this.#known.get(root)
    if (known !== undefined && performance.now() - known.measured < measureAgainMs) {
      return known
    }
    const run = this.#runs.get(root) ?? new SharedRun(() => this.#walk(root))
    this.#runs.set(root, run)
    return run.get()
  }

  async #walk(root: string): Promise<Known> {
    const before = this.#known.get(root)?.added ?? 0
    const measured = performance.now()
    const bytes = await folderBytes(root)
    // What came while it was measured may be missing in it.
    const added = Math.max(0, (this.#known.get(root)?.added ?? 0) - before)
    const known = { bytes, measured, added }
    this.#known.set(root, known)
    this.#runs.delete(root)
    return known
  }
}

async function folderBytes(root: string): Promise<number> {
  let bytes = 0
  const folders = [root]
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const { name, isFolder } of await namesIn(folder)) {
      const path = join(folder, name)
      if (isFolder) folders.push(path)
      else bytes += await diskBytes(path)
    }
  }
  return bytes
}

async function namesIn(folder: string): Promise<{ name: string; isFolder: boolean }[]> {
  const names: { name: string; isFolder: boolean }[] = []
  try {
    for await (const entry of await opendir(folder, {
      encoding: 'latin1' as BufferEncoding,
    })) {
      names.push({ name: entry.name, isFolder: entry.isDirectory() })
    }
  } catch (error) {
    // Sessions end meanwhile, and take their folders along.
    if (!isErrno(error, 'ENOENT')) throw error
  }
  return names
}

async function diskBytes(path: string): Promise<number> {
  try {
    return (await lstat(path)).blocks * 512
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 0
    throw error
  }
}
