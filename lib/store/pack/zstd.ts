import { createRequire } from 'node:module'
import { findZstdLibrary, type ZstdLibrary } from '../../system/zstd-library.js'

/** One way to compress and decompress zstd frames of at most 1 MiB plain bytes. */
export type Zstd = {
  readonly name: 'library' | 'wasm'
  /** Compresses into one frame whose header tells the plain size. */
  compress(plain: Uint8Array, level: number): Uint8Array
  /**
   * Decompresses one frame, whose header was checked to tell `size`.
   *
   * Undefined when the frame is damaged.
   */
  decompress(frame: Uint8Array, size: number): Uint8Array | undefined
}

type WasmPackage = {
  init(): Promise<void>
  compress(plain: Uint8Array, level: number): Uint8Array
  decompress(frame: Uint8Array): Uint8Array
}

const require = createRequire(import.meta.url)

/** Finds an implementation by name; undefined where it cannot be loaded. */
export async function findZstd(name: Zstd['name']): Promise<Zstd | undefined> {
  if (name === 'wasm') return loadWasm()
  const library = findZstdLibrary()
  return library && nativeZstd(library)
}

/** Loads the fastest implementation that this platform has. */
export async function loadZstd(): Promise<Zstd> {
  return (await findZstd('library')) ?? (await loadWasm())
}

function nativeZstd(library: ZstdLibrary): Zstd {
  return {
    name: 'library',
    compress(plain, level) {
      // The bound that zstd documents for one frame, with room to spare.
      const target = Buffer.allocUnsafe(plain.length + (plain.length >> 7) + 1024)
      const written = library.compress(target, plain, level)
      if (written === undefined) throw new Error(`zstd level ${level} failed`)
      return target.subarray(0, written)
    },
    decompress(frame, size) {
      const target = Buffer.allocUnsafe(size)
      return library.decompress(target, frame) === size ? target : undefined
    },
  }
}

async function loadWasm(): Promise<Zstd> {
  const wasm = require('@bokuweb/zstd-wasm') as WasmPackage
  await wasm.init()
  return {
    name: 'wasm',
    compress: (plain, level) => wasm.compress(plain, level),
    decompress(frame, size) {
      try {
        const plain = wasm.decompress(frame)
        return plain.length === size ? plain : undefined
      } catch {
        // The only failure of a frame of a known small size is damage inside it.
        return undefined
      }
    },
  }
}
