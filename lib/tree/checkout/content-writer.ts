import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ObjectLink } from '../../object/descriptor.js'
import type { PayloadPlace } from '../../store/object-store.js'
import { checkSize, checkType, type TreeReader } from '../tree-reader.js'
import type { EntryMaker, NewFile } from './entry-maker.js'
import type { EntryMetadata } from './metadata-writer.js'
import type { OrdinaryFileTools } from './ordinary-files.js'
import { copyPayload } from './payload-copy.js'

/** What a ContentWriter works with. */
export type ContentTools = {
  readonly tree: TreeReader
  readonly maker: EntryMaker
  readonly ordinary?: OrdinaryFileTools | undefined
  readonly signal?: AbortSignal | undefined
}

const roomBytes = 1024 * 1024
// Between these, others get their turn, and the signal is looked at.
const bytesInOneGo = 16 * 1024 * 1024

/** Makes single files of payloads of any size, verified. */
export class ContentWriter {
  readonly #tools: ContentTools
  readonly #onBytes: (bytes: number) => void
  #rooms: readonly [Buffer, Buffer] | undefined

  /** @param onBytes - told how many bytes were written since the last time */
  constructor(tools: ContentTools, onBytes: (bytes: number) => void) {
    this.#tools = tools
    this.#onBytes = onBytes
  }

  /** Makes a file under a name that must not exist. */
  async write(path: Buffer, link: ObjectLink, metadata: EntryMetadata): Promise<void> {
    const { maker, ordinary } = this.#tools
    const place = ordinary?.locator.find(link.digest)
    using file = maker.openFile(path, metadata)
    if (ordinary === undefined || place === undefined) await this.#copy(link, file)
    else {
      checkType(link.digest, place.type, 'file')
      checkSize(link, place.size)
      await this.#copyPlace(link, place, file, ordinary.verifyClones)
    }
    file.finish()
  }

  async #copyPlace(
    { digest }: ObjectLink,
    place: PayloadPlace,
    file: NewFile,
    verify: boolean,
  ): Promise<void> {
    const { signal } = this.#tools
    this.#rooms ??= [Buffer.allocUnsafeSlow(roomBytes), Buffer.allocUnsafeSlow(roomBytes)]
    const rooms = this.#rooms
    // One room is written beside this thread, which reads and hashes into the other.
    const writing: Promise<void>[] = []
    const write = (chunk: Uint8Array): void => {
      const written = file.writeBeside(chunk)
      // Who awaits it comes later.
      written.catch(() => {})
      writing.push(written)
    }
    let told = 0
    try {
      const source = { place, digest }
      for (const done of copyPayload(file.fd, source, { rooms, write, verify })) {
        if (writing.length === rooms.length) await writing.shift()
        if (done - told < bytesInOneGo && done < place.size) continue
        this.#onBytes(done - told)
        told = done
        await nextTurn()
        signal?.throwIfAborted()
      }
      await Promise.all(writing)
    } finally {
      await Promise.allSettled(writing)
    }
  }

  async #copy(link: ObjectLink, file: NewFile): Promise<void> {
    const { tree, signal } = this.#tools
    await using stream = await tree.objects.open(link.digest)
    checkType(link.digest, stream.type, 'file')
    checkSize(link, stream.size)
    for await (const chunk of stream) {
      signal?.throwIfAborted()
      if (file.size() + chunk.length > link.size) {
        checkSize(link, file.size() + chunk.length)
      }
      file.write(chunk)
      this.#onBytes(chunk.length)
    }
    checkSize(link, file.size())
  }
}
