import { LimitExceededError } from '../../errors.js'
import type { EntryKind } from '../../object/file-mode.js'
import { EntryTable, rootEntryNumber } from '../tar/entry-table.js'
import type { FolderFacts } from './folder-metadata.js'

/** What is still to be said of a folder when nothing goes into it any more. */
export type FolderPlan = {
  /** Undefined for a folder that keeps what it is. */
  facts: FolderFacts | undefined
  isOpaque: boolean
  /** Whether it was made, so that it has nothing of its own yet. */
  readonly isNew: boolean
}

const maxTableBytes = 512 * 1024 ** 2
const maxPlanBytes = 256 * 1024 ** 2
const planBytes = 200

/** What a layer has brought so far, and what its folders will be; memory is bounded. */
export class BroughtEntries {
  readonly #table: EntryTable
  readonly #plans = new Map<number, FolderPlan>()
  #planBytes = 0

  constructor(maxEntries: number) {
    this.#table = new EntryTable({ maxEntries, maxBytes: maxTableBytes })
  }

  /** The number of what lies at a path; undefined for what the layer has not brought. */
  find(names: readonly Buffer[]): number | undefined {
    let number = rootEntryNumber
    for (const name of names) {
      const child = this.#table.find(number, name)
      if (child === undefined) return undefined
      number = child
    }
    return number
  }

  /** Notes an entry in a folder; a folder stays the one that it was. */
  add(folder: number, name: Buffer, kind: EntryKind): number {
    const known = this.#table.find(folder, name)
    const stays =
      known !== undefined && kind === 'directory' && this.#table.kind(known) === kind
    return stays ? known : this.#table.add(folder, name, kind)
  }

  /** Says what a folder will be. */
  plan(number: number, facts: FolderFacts, { isNew }: { readonly isNew: boolean }): void {
    const known = this.#plans.get(number)
    this.#count(facts)
    this.#plans.set(number, {
      facts,
      isOpaque: known?.isOpaque ?? false,
      isNew: known?.isNew ?? isNew,
    })
  }

  /** Says that a folder will hide what is below it. */
  planOpaque(number: number): void {
    const known = this.#plans.get(number)
    if (known !== undefined) known.isOpaque = true
    else this.#plans.set(number, { facts: undefined, isOpaque: true, isNew: false })
  }

  findPlan(number: number): FolderPlan | undefined {
    return this.#plans.get(number)
  }

  /** The folders in a folder, and their names. */
  *folders(
    number: number,
  ): Generator<{ readonly number: number; readonly name: Buffer }> {
    for (const child of this.#table.children(number)) {
      if (this.#table.kind(child) !== 'directory') continue
      yield { number: child, name: this.#table.name(child) }
    }
  }

  #count({ header }: FolderFacts): void {
    this.#planBytes += planBytes
    for (const { key, value } of header.xattrs) {
      this.#planBytes += planBytes + key.length + value.length
    }
    if (this.#planBytes <= maxPlanBytes) return
    throw new LimitExceededError(
      `an archive's folders take too much memory: expected at most ${maxPlanBytes} bytes`,
      { expected: maxPlanBytes },
    )
  }
}
