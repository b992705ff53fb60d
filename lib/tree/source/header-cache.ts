import { findModeOfStat } from '../../object/file-mode.js'
import { encodeHeader, type Header } from '../../object/header.js'
import type { ObjectBatch } from './object-batch.js'
import type { Slot } from './pending-directory.js'

const maxHeaders = 8192

/** Adds headers to a batch, each of the last few thousand different ones only once. */
export class HeaderCache {
  readonly #batch: ObjectBatch
  readonly #slots = new Map<string, Slot>()
  #last = { mode: -1, uid: -1, gid: -1, slot: undefined as Slot | undefined }

  constructor(batch: ObjectBatch) {
    this.#batch = batch
  }

  add(header: Header): Slot {
    // Attributes are rarely shared, and long as a key.
    if (header.xattrs.length > 0) return this.#batch.addHeader(encodeHeader(header))
    const { mode, rdev, uid, gid } = header
    const key = `${mode}:${rdev}:${uid}:${gid}`
    const known = this.#slots.get(key)
    if (known !== undefined) return known
    if (this.#slots.size >= maxHeaders) this.#slots.clear()
    const slot = this.#batch.addHeader(encodeHeader(header))
    this.#slots.set(key, slot)
    return slot
  }

  /** As add, for a regular file without attributes, by what stat(2) says of it. */
  addPlain(stMode: number, uid: number, gid: number): Slot {
    const last = this.#last
    if (last.slot && last.mode === stMode && last.uid === uid && last.gid === gid) {
      return last.slot
    }
    const mode = findModeOfStat(stMode)
    if (mode === undefined) throw new Error(`no file has mode ${stMode.toString(8)}`)
    const slot = this.add({ mode, rdev: 0, uid, gid, xattrs: [] })
    this.#last = { mode: stMode, uid, gid, slot }
    return slot
  }
}
