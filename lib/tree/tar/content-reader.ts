import type { ObjectLink } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import type { ObjectReader } from '../../store/object-store.js'
import { digestOfError, locatedError } from '../located-error.js'
import { checkSize, checkType } from '../tree-reader.js'

/** A file whose content is wanted. */
export type WantedFile = { readonly path: Buffer; readonly file: ObjectLink }

const smallFileBytes = 512 * 1024
const batchBytes = 8 * 1024 * 1024

/** Reads contents of files, small ones many at once, verified. */
export class ContentReader {
  readonly #objects: ObjectReader
  #small: ReadonlyMap<Digest, Buffer> = new Map()

  constructor(objects: ObjectReader) {
    this.#objects = objects
  }

  /**
   * Reads the small ones among the first of these files ahead, in place of those read
   * ahead before; tells how many files that covers.
   */
  async readAhead(files: readonly (WantedFile | undefined)[]): Promise<number> {
    const wanted = new Map<Digest, WantedFile>()
    let bytes = 0
    let covered = 0
    for (const file of files) {
      const size = file?.file.size ?? 0
      if (covered > 0 && bytes + size > batchBytes) break
      covered++
      if (file === undefined || size > smallFileBytes) continue
      if (wanted.has(file.file.digest)) continue
      wanted.set(file.file.digest, file)
      bytes += size
    }
    this.#small = wanted.size === 0 ? new Map() : await this.#read(wanted)
    return covered
  }

  /** The content of a file, in chunks. */
  async *chunks({ path, file }: WantedFile): AsyncGenerator<Uint8Array, void, void> {
    const small = this.#small.get(file.digest)
    try {
      if (small !== undefined) {
        checkSize(file, small.length)
        yield small
        return
      }
      await using stream = await this.#objects.open(file.digest)
      checkType(file.digest, stream.type, 'file')
      checkSize(file, stream.size)
      yield* stream
    } catch (error) {
      throw locatedError(error, () => path)
    }
  }

  async #read(
    wanted: ReadonlyMap<Digest, WantedFile>,
  ): Promise<ReadonlyMap<Digest, Buffer>> {
    const contents = new Map<Digest, Buffer>()
    try {
      for (const object of await this.#objects.read([...wanted.keys()])) {
        checkType(object.digest, object.type, 'file')
        contents.set(object.digest, object.payload)
      }
    } catch (error) {
      const digest = digestOfError(error)
      const file = [...wanted.values()].find(one => one.file.digest === digest)
      throw file === undefined ? error : locatedError(error, () => file.path)
    }
    return contents
  }
}
