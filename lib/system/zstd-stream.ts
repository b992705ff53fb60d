import { createRequire } from 'node:module'
import type * as Koffi from 'koffi'

/** Bits of the largest window that is accepted: what zstd itself allows unless told. */
export const maxZstdWindowBits = 27

/** What one call of a ZstdStream did. */
type ZstdStep = {
  /** Bytes of the input that were taken. */
  readonly read: number
  readonly written: number
  /** Whether a frame ended just here, so that the input may end, too. */
  readonly isFrameEnd: boolean
}

/** A decompression that goes on from call to call; disposing frees its memory. */
export interface ZstdStream extends Disposable {
  /** Decompresses some of the input into the output; undefined when it is damaged. */
  decompress(output: Buffer, input: Uint8Array): ZstdStep | undefined
}

type Position = { bytes: Uint8Array; size: number; pos: number }

type ZstdCalls = {
  readonly create: () => unknown
  readonly setParameter: (stream: unknown, parameter: number, value: number) => number
  readonly decompress: (
    stream: unknown,
    output: Position,
    input: Position,
  ) => number | bigint
  readonly isError: (code: number | bigint) => number
  readonly free: (stream: unknown) => unknown
}

const require = createRequire(import.meta.url)
// ZSTD_d_windowLogMax
const windowLogMax = 100

let calls: ZstdCalls | undefined | 'absent'

/** Starts a decompression by the system's zstd library; undefined where it has none. */
export function findZstdStream(): ZstdStream | undefined {
  calls ??= loadCalls() ?? 'absent'
  if (calls === 'absent') return undefined
  const { create, setParameter, decompress, isError, free } = calls
  const stream = create()
  setParameter(stream, windowLogMax, maxZstdWindowBits)
  let isOpen = true
  return {
    decompress(output, input) {
      if (!isOpen) throw new Error('the stream is closed')
      const to = { bytes: output, size: output.length, pos: 0 }
      const from = { bytes: input, size: input.length, pos: 0 }
      const hint = decompress(stream, to, from)
      if (isError(hint) !== 0) return undefined
      return {
        read: from.pos,
        written: to.pos,
        isFrameEnd: Number(hint) === 0,
      }
    },
    [Symbol.dispose]() {
      if (isOpen) free(stream)
      isOpen = false
    },
  }
}

function loadCalls(): ZstdCalls | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    const koffi = require('koffi') as typeof Koffi
    return bindCalls(koffi, koffi.load('libzstd.so.1'))
  } catch {
    // No prebuilt binary of the binding, or no such library: the loader throws what it likes.
    return undefined
  }
}

function bindCalls(koffi: typeof Koffi, library: Koffi.LibraryHandle): ZstdCalls {
  const position = { bytes: 'void *', size: 'size_t', pos: 'size_t' }
  const output = koffi.pointer(koffi.struct(position))
  const input = koffi.pointer(koffi.struct(position))
  const decompress = library.func('ZSTD_decompressStream', 'size_t', [
    'void *',
    koffi.inout(output),
    koffi.inout(input),
  ])
  const setParameter = library.func(
    'size_t ZSTD_DCtx_setParameter(void *stream, int parameter, int value)',
  )
  const isError = library.func('unsigned int ZSTD_isError(size_t code)')
  const create = library.func('void *ZSTD_createDStream()')
  const free = library.func('size_t ZSTD_freeDStream(void *stream)')
  return {
    create: () => create() as unknown,
    setParameter: (stream, parameter, value) =>
      Number(setParameter(stream, parameter, value)),
    decompress: (stream, to, from) => decompress(stream, to, from) as number | bigint,
    isError: code => Number(isError(code)),
    free: stream => free(stream) as unknown,
  }
}
