import { join } from 'node:path'
import {
  type CondemnedKind,
  CondemnedList,
  condemnedName,
  type Generation,
} from '../../store/pack/condemned-list.js'
import type { PackCalls } from '../../store/pack/pack-calls.js'
import type { PackFolder } from '../../store/pack/pack-folder.js'
import { removeIfThere, replaceFile, syncPath } from '../durable-file.js'
import { naming } from '../system-failure.js'
import type { Reserve } from './reserve.js'

/** The list of condemned objects among the packs, as the one collector at work keeps it. */
export class CondemnedFile {
  readonly #folder: PackFolder
  readonly #reserve: Reserve
  readonly #calls: PackCalls
  readonly #temp: string

  /** @param own - `temp`: an existing folder on the filesystem of the packs */
  constructor(
    folder: PackFolder,
    own: { readonly reserve: Reserve; readonly calls: PackCalls; readonly temp: string },
  ) {
    this.#folder = folder
    this.#reserve = own.reserve
    this.#calls = own.calls
    this.#temp = own.temp
  }

  /** Those of these kinds, in their order. */
  generations(...kinds: CondemnedKind[]): Generation[] {
    return this.#folder.condemned.generations.filter(({ kind }) => kinds.includes(kind))
  }

  /** Drops what is known of packs that are gone. */
  async forgetGonePacks(): Promise<void> {
    const names = new Set(this.#folder.packs.map(({ name }) => name))
    // One that cannot be read now may be repaired.
    for (const path of this.#folder.broken.keys())
      names.add(path.slice(path.lastIndexOf('/') + 1))
    const { generations } = this.#folder.condemned
    const left = generations
      .map(generation => ({
        ...generation,
        packs: new Map([...generation.packs].filter(([name]) => names.has(name))),
      }))
      .filter(({ packs }) => [...packs.values()].some(({ count }) => count > 0))
    const isSame =
      left.length === generations.length &&
      left.every(({ packs }, index) => packs.size === generations[index]?.packs.size)
    if (!isSame) await this.write(left)
  }

  /** Replaces the list, durably; the reserve is given up if there is no room. */
  async write(generations: readonly Generation[]): Promise<void> {
    const path = join(this.#folder.path, condemnedName)
    await naming('write', path, async () => {
      if (generations.length === 0) {
        if (removeIfThere(path, this.#calls))
          await syncPath(this.#folder.path, this.#calls)
      } else {
        await this.#reserve.orFree(async () =>
          replaceFile(path, new CondemnedList(generations).encode(), {
            temporary: join(this.#temp, condemnedName),
            calls: this.#calls,
          }),
        )
      }
    })
    this.#folder.refresh()
  }
}
