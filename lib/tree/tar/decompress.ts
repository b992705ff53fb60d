import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { NativeUnavailableError } from '../../errors.js'
import { isErrno } from '../../system/errno.js'
import { findZstdStream, maxZstdWindowBits } from '../../system/zstd-stream.js'
import { invalidArchive } from './archive-error.js'
import type { ExpansionLimit } from './expansion-limit.js'

type Chunks = AsyncGenerator<Uint8Array, void, void>

const magicBytes = 6
const outputBytes = 256 * 1024

type Compression = 'none' | 'gzip' | 'zstd'

/** Undoes gzip or zstd, which the first bytes tell, within a limit. */
export async function* decompress(
  archive: AsyncIterable<Uint8Array>,
  limit: ExpansionLimit,
): Chunks {
  const chunks = counted(archive, limit)
  const start = await readStart(chunks)
  const whole = withStart(start, chunks)
  const compression = compressionOf(start)
  try {
    switch (compression) {
      case 'none':
        yield* whole
        break
      case 'gzip':
        yield* gunzip(whole, limit)
        break
      case 'zstd':
        yield* unzstd(whole, limit)
        break
      default:
        compression satisfies never
    }
  } finally {
    await chunks.return()
  }
}

async function* counted(
  archive: AsyncIterable<Uint8Array>,
  limit: ExpansionLimit,
): Chunks {
  for await (const chunk of archive) {
    limit.take(chunk.length)
    yield chunk
  }
}

async function readStart(chunks: Chunks): Promise<Buffer> {
  let start = Buffer.alloc(0)
  while (start.length < magicBytes) {
    const next = await chunks.next()
    if (next.done === true) break
    start = Buffer.concat([start, next.value])
  }
  return start
}

async function* withStart(start: Buffer, chunks: Chunks): Chunks {
  if (start.length > 0) yield start
  yield* chunks
}

function compressionOf(first: Buffer): Compression {
  const magic = first.toString('latin1', 0, magicBytes)
  if (magic.startsWith('\x1f\x8b')) return 'gzip'
  if (magic.startsWith('\x28\xb5\x2f\xfd') || isSkippableFrame(first)) return 'zstd'
  const other = otherCompressions.find(([start]) => magic.startsWith(start))
  if (other === undefined) return 'none'
  throw invalidArchive({ offset: 0 }, 'unknown compression', {
    expected: 'none, gzip or zstd',
    found: other[1],
  })
}

// A frame that zstd passes over, such as parallel compressors put in front.
function isSkippableFrame(first: Buffer): boolean {
  return first.length >= 4 && (first.readUInt32LE(0) & 0xffff_fff0) === 0x184d_2a50
}

const otherCompressions = [
  ['BZh', 'bzip2'],
  ['\xfd7zXZ\0', 'xz'],
  ['\x04\x22\x4d\x18', 'lz4'],
  ['LZIP', 'lzip'],
  ['\x1f\x9d', 'compress'],
  ['PK\x03\x04', 'zip'],
] as const

async function* gunzip(archive: Chunks, limit: ExpansionLimit): Chunks {
  const gunzipping = createGunzip({ chunkSize: outputBytes })
  const source = Readable.from(archive, { objectMode: false })
  // What breaks the source breaks the reader of the result.
  source.on('error', error => gunzipping.destroy(error))
  source.pipe(gunzipping)
  try {
    for await (const chunk of gunzipping) {
      const bytes = chunk as Buffer
      limit.unpack(bytes.length)
      yield bytes
    }
  } catch (error) {
    if (!isErrno(error, ...gzipErrors)) throw error
    throw invalidArchive({ offset: 0 }, 'its gzip compression is damaged or cut off')
  } finally {
    source.destroy()
    gunzipping.destroy()
  }
}

const gzipErrors = [
  'Z_DATA_ERROR',
  'Z_BUF_ERROR',
  'Z_STREAM_ERROR',
  'Z_NEED_DICT',
] as const

async function* unzstd(archive: Chunks, limit: ExpansionLimit): Chunks {
  using stream = findZstdStream()
  if (stream === undefined) {
    throw new NativeUnavailableError(
      'zstd is not available: no libzstd could be loaded; decompress the archive first',
      { call: 'ZSTD_decompressStream' },
    )
  }
  let isWhole = true
  for await (const chunk of archive) {
    for (let input = chunk; ; ) {
      const output = Buffer.allocUnsafe(outputBytes)
      const step = stream.decompress(output, input)
      if (step === undefined) {
        throw invalidArchive(
          { offset: 0 },
          `its zstd compression is damaged, or needs more than 2^${maxZstdWindowBits} bytes of memory`,
        )
      }
      isWhole = step.isFrameEnd
      input = input.subarray(step.read)
      if (step.written > 0) {
        limit.unpack(step.written)
        yield output.subarray(0, step.written)
      }
      // More may wait inside while the output was full.
      const isDrained = step.isFrameEnd || step.written < output.length
      if (input.length === 0 && isDrained) break
    }
  }
  if (!isWhole) throw invalidArchive({ offset: 0 }, 'its zstd compression is cut off')
}
