import { lstatSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Digest } from '../../object/digest.js'
import { type FileCalls, writeFully } from '../../system/file-calls.js'
import { encodeCanonicalJson } from '../canonical-json.js'
import { ensureFolder, removeIfThere, replaceFile, syncPath } from '../durable-file.js'
import { readRepositoryFile } from '../repository-file.js'
import { naming } from '../system-failure.js'

/** What was put aside, and why. */
export type Condition = {
  readonly what: 'object' | 'pack' | 'tag' | 'tag-log' | 'file'
  /** Where it was. */
  readonly where: string
  readonly why: string
  readonly digest?: Digest
}

/** Something put aside, and where it is kept. */
export type QuarantinedItem = Condition & { readonly kept: string }

/**
 * What a repair puts aside: `ROOT/quarantine/NAME`, with `NAME.json` that says what it is.
 *
 * Nothing ever reads it back; people may, and may remove it.
 */
export class Quarantine {
  readonly #folder: string
  readonly #calls: FileCalls

  constructor(root: string, calls: FileCalls) {
    this.#folder = join(root, 'quarantine')
    this.#calls = calls
  }

  /** Moves a file, or whatever lies there, out of the repository; durably. */
  async move(condition: Condition): Promise<QuarantinedItem> {
    const { where } = condition
    return naming('put aside', where, async () => {
      const item = await this.#announce(condition)
      this.#calls.rename(where, item.kept)
      await syncPath(dirname(where), this.#calls)
      await syncPath(this.#folder, this.#calls)
      return item
    })
  }

  /**
   * Keeps bytes of something that goes, or is written anew; durably. A run that was stopped
   * keeps them again in the same place.
   */
  async keep(
    condition: Condition,
    pieces: Iterable<Uint8Array>,
  ): Promise<QuarantinedItem> {
    return naming('put aside', condition.where, async () => {
      const item = await this.#announce(condition, path => isOf(path, condition))
      const temporary = join(this.#folder, '.new')
      removeIfThere(temporary, this.#calls)
      const fd = this.#calls.create(temporary)
      try {
        for (const piece of pieces) writeFully(this.#calls, fd, piece)
        await this.#calls.sync(fd)
      } finally {
        this.#calls.close(fd)
      }
      this.#calls.rename(temporary, item.kept)
      await syncPath(this.#folder, this.#calls)
      return item
    })
  }

  // First what it is: a move that is broken off is done again under the same name.
  async #announce(
    condition: Condition,
    mayReplace: (path: string) => boolean = () => false,
  ): Promise<QuarantinedItem> {
    await ensureFolder(this.#folder, this.#calls)
    const kept = this.#freePath(condition, mayReplace)
    const text = encodeCanonicalJson({
      version: 1,
      time: new Date().toISOString(),
      what: condition.what,
      where: condition.where,
      why: condition.why,
      ...(condition.digest === undefined ? {} : { digest: condition.digest }),
    })
    const temporary = join(this.#folder, '.new')
    await replaceFile(`${kept}.json`, text, { temporary, calls: this.#calls })
    return { ...condition, kept }
  }

  #freePath(condition: Condition, mayReplace: (path: string) => boolean): string {
    const name = condition.digest ?? basename(condition.where)
    let path = join(this.#folder, name)
    for (let n = 1; lstatSync(path, { throwIfNoEntry: false }); n++) {
      if (mayReplace(path)) break
      path = join(this.#folder, `${name}.${n}`)
    }
    return path
  }
}

function isOf(path: string, { what, where, why }: Condition): boolean {
  const text = readRepositoryFile(`${path}.json`)?.toString() ?? '{}'
  try {
    const known = Object(JSON.parse(text)) as Record<string, unknown>
    return known['what'] === what && known['where'] === where && known['why'] === why
  } catch (error) {
    if (error instanceof SyntaxError) return false
    throw error
  }
}
