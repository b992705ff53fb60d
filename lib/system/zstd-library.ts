import { createRequire } from 'node:module'
import type * as Koffi from 'koffi'

/** The zstd calls of a shared library; each call is one whole frame. */
export type ZstdLibrary = {
  /** Compresses into `target` and tells the bytes written; undefined when it fails. */
  compress(target: Buffer, source: Uint8Array, level: number): number | undefined
  /** Decompresses into `target` and tells the bytes written; undefined when it fails. */
  decompress(target: Buffer, source: Uint8Array): number | undefined
}

const require = createRequire(import.meta.url)

let library: ZstdLibrary | undefined | 'absent'

/**
 * Finds the zstd library that the system has installed; undefined where it has none.
 *
 * Loading takes some 10 ms, so it waits for the first call; its two work areas live as
 * long as the process.
 */
export function findZstdLibrary(): ZstdLibrary | undefined {
  library ??= loadZstdLibrary() ?? 'absent'
  return library === 'absent' ? undefined : library
}

function loadZstdLibrary(): ZstdLibrary | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    const koffi = require('koffi') as typeof Koffi
    return bindLibrary(koffi.load('libzstd.so.1'))
  } catch {
    // No prebuilt binary of the binding, or no such library: the loader throws what it likes.
    return undefined
  }
}

function bindLibrary(handle: Koffi.LibraryHandle): ZstdLibrary {
  const bytes = 'void *to, size_t room, const void *from, size_t length'
  const compress = handle.func(
    `size_t ZSTD_compressCCtx(void *context, ${bytes}, int level)`,
  )
  const decompress = handle.func(`size_t ZSTD_decompressDCtx(void *context, ${bytes})`)
  const compressor: unknown = handle.func('void *ZSTD_createCCtx()')()
  const decompressor: unknown = handle.func('void *ZSTD_createDCtx()')()
  return {
    compress: (target, source, level) =>
      checked(
        compress(compressor, target, target.length, source, source.length, level),
        target.length,
      ),
    decompress: (target, source) =>
      checked(
        decompress(decompressor, target, target.length, source, source.length),
        target.length,
      ),
  }
}

// Errors are the highest numbers of a size_t.
function checked(result: unknown, room: number): number | undefined {
  return Number(result) <= room ? Number(result) : undefined
}
