import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import type { Algorithm } from '../../../object/algorithm.js'
import { fileWords, StatRows } from './stat-rows.js'
import { asBytes, blockRows, headerWords, tableMagic } from './stat-table.js'

/**
 * Writes a table beside the one that it will replace. Rows come in ascending order.
 * Disposing throws away what was not put in place.
 */
export class StatTableWriter implements Disposable {
  readonly #path: string
  readonly #algorithm: Algorithm
  readonly #block: StatRows
  readonly #index: number[] = []
  #fd: number | undefined
  #count = 0
  #inBlock = 0
  #end = headerWords * 4

  /** @param path - a new file on the filesystem of the table to be */
  constructor(path: string, algorithm: Algorithm) {
    this.#path = path
    this.#algorithm = algorithm
    this.#block = new StatRows(algorithm, blockRows)
    this.#fd = openSync(path, 'wx', 0o600)
  }

  add(rows: StatRows, row: number, day: number): void {
    this.#block.copy(this.#inBlock, rows, row)
    this.#block.setDay(this.#inBlock, day)
    this.#inBlock++
    if (this.#inBlock === blockRows) this.#flush()
  }

  /**
   * Puts the table in place. It is not synced: one that lost bytes does not have its
   * checksums, and counts as none.
   */
  finish(target: string): void {
    this.#flush()
    const index = asBytes(Uint32Array.from(this.#index))
    this.#write(index, this.#end)
    const header = new Uint32Array(headerWords)
    header.set([tableMagic, this.#algorithm.id, this.#count, crc32(index)])
    header[headerWords - 1] = crc32(asBytes(header.subarray(0, headerWords - 1)))
    this.#write(asBytes(header), 0)
    this.#close()
    renameSync(this.#path, target)
  }

  [Symbol.dispose](): void {
    this.#close()
    rmSync(this.#path, { force: true })
  }

  #flush(): void {
    if (this.#inBlock === 0) return
    const { words, width, bytes } = this.#block
    const used = bytes.subarray(0, this.#inBlock * width * 4)
    this.#index.push(...words.subarray(0, fileWords), crc32(used))
    this.#write(used, this.#end)
    this.#end += used.length
    this.#count += this.#inBlock
    this.#inBlock = 0
  }

  #write(bytes: Uint8Array, position: number): void {
    if (this.#fd === undefined) throw new Error(`the table ${this.#path} is closed`)
    for (let done = 0; done < bytes.length; ) {
      const at = position + done
      const written = writeSync(this.#fd, bytes, done, bytes.length - done, at)
      if (written === 0) throw new Error('a write took nothing')
      done += written
    }
  }

  #close(): void {
    if (this.#fd === undefined) return
    const fd = this.#fd
    this.#fd = undefined
    closeSync(fd)
  }
}
