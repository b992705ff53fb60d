import { lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { systemFileCalls } from '../../system/file-calls.js'
import { syncFolder } from '../../system/sync.js'
import { encodeConfig, type StoreLayout, type WrittenConfig } from '../config.js'
import { replaceFile } from '../durable-file.js'
import { writePackedNotice } from '../packed-notice.js'
import type { RepositoryPaths } from '../repository-paths.js'

/*
 * A repository is of the layout that its config tells; whatever else lies in it is left
 * over from a migration, done or broken off, and goes before the next one and with a
 * collection:
 *
 *   objects.loose   loose objects that are being made out of packs
 *   objects.old     loose objects that packs have replaced
 *   packs.old       packs that loose objects have replaced
 *   packs           in the loose layout: packs that are being made
 *   objects, as a folder, in the pack layout: not put aside yet
 */

const growingLoose = 'objects.loose'
const oldLoose = 'objects.old'
const oldPacks = 'packs.old'

/** The files of a repository's layouts, as a migration moves them. */
export class LayoutFiles {
  readonly #paths: RepositoryPaths

  constructor(paths: RepositoryPaths) {
    this.#paths = paths
  }

  /** Where loose objects grow, until they are the repository's. */
  get growingLoose(): string {
    return this.#at(growingLoose)
  }

  /** Removes what belongs to no repository of this layout; whoever calls holds gc.lock. */
  async clear(layout: StoreLayout): Promise<void> {
    // What the config says must be so after a power loss, too.
    syncFolder(this.#paths.root)
    if (layout === 'pack') await this.#putLooseAside()
    const names = [growingLoose, oldLoose, oldPacks]
    if (layout === 'loose') names.push('packs')
    for (const name of names) await this.#remove(name)
  }

  /** Makes the folder that a new layout grows in. */
  make(layout: StoreLayout): void {
    mkdirSync(layout === 'pack' ? this.#at('packs') : this.growingLoose, { mode: 0o700 })
    syncFolder(this.#paths.root)
  }

  /**
   * Makes the repository one of another layout, whose objects are all there, durably. The
   * caller holds the exclusive lock and lets no session begin.
   */
  async switch(config: WrittenConfig): Promise<void> {
    if (config.layout === 'loose') this.#takeLoose()
    await this.writeConfig(config)
    if (config.layout === 'pack') await this.#putLooseAside()
    else this.#rename('packs', oldPacks)
    syncFolder(this.#paths.root)
  }

  async writeConfig(config: WrittenConfig): Promise<void> {
    await replaceFile(this.#paths.config, encodeConfig(config), {
      temporary: this.#at('config.new'),
      calls: systemFileCalls,
    })
  }

  // While the config still says packs, nobody looks here.
  #takeLoose(): void {
    rmSync(this.#paths.objects, { force: true })
    this.#rename(growingLoose, 'objects')
    syncFolder(this.#paths.root)
  }

  async #putLooseAside(): Promise<void> {
    const stat = lstatSync(this.#paths.objects, { throwIfNoEntry: false })
    if (stat?.isFile() === true) return
    if (stat !== undefined) {
      await this.#remove(oldLoose)
      this.#rename('objects', oldLoose)
    }
    await writePackedNotice(this.#paths, systemFileCalls)
  }

  async #remove(name: string): Promise<void> {
    await rm(this.#at(name), { recursive: true, force: true })
  }

  #rename(from: string, to: string): void {
    renameSync(this.#at(from), this.#at(to))
  }

  #at(name: string): string {
    return join(this.#paths.root, name)
  }
}
