import { closeSync, constants, fsyncSync, openSync, symlinkSync, write } from 'node:fs'
import { promisify } from 'node:util'
import type { DirectoryEntry } from '../../object/directory.js'
import { isErrno } from '../../system/errno.js'
import { hasNativeCalls } from '../../system/libc.js'
import { makeDevice, makeFifo, makeSocket } from '../../system/special-file.js'
import type { LeftOutList } from './left-out.js'
import type { EntryMetadata, MetadataWriter } from './metadata-writer.js'
import { SparseWriter, writeAll } from './sparse-writer.js'

const newFile =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

const writeAside = promisify(write)

/** A new file that is being written. */
export type NewFile = {
  readonly fd: number
  readonly write: (chunk: Uint8Array) => void
  /** As write, beside this thread; the chunk must stay, and the file open, until it is done. */
  readonly writeBeside: (chunk: Uint8Array) => Promise<void>
  readonly size: () => number
  /** Gives it its metadata; without this call it is unfinished, mode 0600. */
  readonly finish: () => void
}

/** An entry that is neither a file nor a folder, as far as its kind tells. */
export type OtherEntry =
  | { readonly kind: 'symlink'; readonly target: Buffer }
  | { readonly kind: Exclude<DirectoryEntry['kind'], 'symlink'> }

/** Makes entries that are no folders, under names that must not exist. */
export class EntryMaker {
  readonly #metadata: MetadataWriter
  readonly #leftOut: LeftOutList
  readonly #native = hasNativeCalls()
  readonly #syncFiles: boolean

  /** @param syncFiles - makes each file durable by itself */
  constructor(
    metadata: MetadataWriter,
    leftOut: LeftOutList,
    { syncFiles }: { syncFiles: boolean },
  ) {
    this.#metadata = metadata
    this.#leftOut = leftOut
    this.#syncFiles = syncFiles
  }

  /** Makes a regular file of one payload that is verified already. */
  makeFile(path: Buffer, payload: Uint8Array, entry: EntryMetadata): void {
    using file = this.openFile(path, entry)
    file.write(payload)
    file.finish()
  }

  /** Starts a regular file; the caller disposes it. */
  openFile(path: Buffer, entry: EntryMetadata): NewFile & Disposable {
    const fd = openSync(path, newFile, 0o600)
    let beside: Promise<void>[] | undefined
    const writer = new SparseWriter(fd, (_, bytes, position) => {
      if (beside === undefined) writeAll(fd, bytes, position)
      else beside.push(writeAllBeside(fd, bytes, position))
    })
    return {
      fd,
      write: chunk => writer.write(chunk),
      writeBeside: async chunk => {
        const parts: Promise<void>[] = []
        beside = parts
        writer.write(chunk)
        beside = undefined
        await Promise.all(parts)
      },
      size: () => writer.size,
      finish: () => {
        writer.end()
        this.#metadata.finish(fd, entry)
        if (this.#syncFiles) fsyncSync(fd)
      },
      [Symbol.dispose]: () => closeSync(fd),
    }
  }

  /** Makes anything but a file or a folder; false when it had to be left out. */
  makeOther(path: Buffer, entry: OtherEntry, metadata: EntryMetadata): boolean {
    if (entry.kind === 'symlink') symlinkSync(entry.target, path)
    else if (!this.#makeSpecial(path, metadata)) return false
    this.#metadata.finish(path, metadata)
    return true
  }

  #makeSpecial(path: Buffer, { kind, header, path: shown }: EntryMetadata): boolean {
    const leave = (what: 'fifo' | 'socket' | 'device'): false => {
      this.#leftOut.add(what, shown)
      return false
    }
    switch (kind) {
      case 'fifo':
        if (!this.#native) return leave('fifo')
        makeFifo(path)
        return true
      case 'socket':
        if (!this.#native) return leave('socket')
        makeSocket(path)
        return true
      case 'block-device':
      case 'char-device':
        if (!this.#native) return leave('device')
        try {
          makeDevice(path, kind === 'block-device' ? 'block' : 'char', header.rdev)
          return true
        } catch (error) {
          if (!isErrno(error, 'EPERM')) throw error
          return leave('device')
        }
      case 'regular':
      case 'directory':
      case 'symlink':
        throw new Error(`a ${kind} is not made by mknod`)
      default:
        return kind satisfies never
    }
  }
}

async function writeAllBeside(
  fd: number,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const left = bytes.length - done
    done += (await writeAside(fd, bytes, done, left, position + done)).bytesWritten
  }
}
