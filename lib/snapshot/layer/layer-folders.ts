import { randomUUID } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../../system/errno.js'

/**
 * Where the layers of one root lie: `ROOT/s/<id>/fs` holds the files of one, `work` beside
 * it is overlayfs's own, `ROOT/trash` what is to be freed. The names are short, since a
 * mount takes a page of options at most.
 */
export class LayerFolders {
  readonly #layers: string
  readonly #trash: string

  constructor(root: string) {
    this.#layers = join(root, 's')
    this.#trash = join(root, 'trash')
  }

  /** Makes the folders that the layers lie in. */
  ensure(): void {
    for (const path of [this.#layers, this.#trash]) {
      mkdirSync(path, { recursive: true, mode: 0o700 })
    }
  }

  /** The folder of a layer. */
  folder(id: string): string {
    return join(this.#layers, id)
  }

  /** The root of a layer's files. */
  content(id: string): string {
    return join(this.#layers, id, 'fs')
  }

  /** The empty folder that overlayfs needs beside a layer that is written to. */
  work(id: string): string {
    return join(this.#layers, id, 'work')
  }

  /** Makes the folder of a layer with an empty root of mode 0755; throws EEXIST. */
  make(id: string): void {
    mkdirSync(this.folder(id), { mode: 0o700 })
    mkdirSync(this.content(id), { mode: 0o755 })
    // What mkdir makes is less the process's umask.
    chmodSync(this.content(id), 0o755)
  }

  /** Moves a layer out of the way to be freed later; nothing when there is none. */
  discard(id: string): void {
    try {
      renameSync(this.folder(id), join(this.#trash, `${id}-${randomUUID()}`))
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error
    }
  }

  /** The ids of all layers on disk. */
  ids(): string[] {
    return readdirSync(this.#layers).filter(name => /^[1-9]\d*$/.test(name))
  }

  /** Paths of what is to be freed. */
  discarded(): string[] {
    return readdirSync(this.#trash).map(name => join(this.#trash, name))
  }
}
