import { randomBytes } from 'node:crypto'
import { createReadStream, lstatSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { DestinationRefusedError } from '../errors.js'
import { replaceFileWith } from '../repository/durable-file.js'
import { naming } from '../repository/system-failure.js'
import { systemFileCalls } from '../system/file-calls.js'

/**
 * Writes a bundle to a file, durably: it appears, or replaces an older one, when it is
 * whole. Throws DestinationRefusedError for what is no file, StorageFullError,
 * AccessRefusedError.
 */
export async function writeBundleFile(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
): Promise<void> {
  const there = lstatSync(path, { throwIfNoEntry: false })
  if (there !== undefined && !there.isFile()) {
    throw new DestinationRefusedError(
      `cannot write a bundle to ${path}: expected a file or nothing, found something else`,
      { path },
    )
  }
  const name = `.${basename(path)}.${randomBytes(8).toString('hex')}`
  const temporary = join(dirname(path), name)
  await naming('write the bundle', path, async () =>
    replaceFileWith(path, bytes, { temporary, calls: systemFileCalls }),
  )
}

/** Reads a file piece by piece; throws what the system says. */
export async function* readBundleFile(path: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(path, { highWaterMark: 1024 * 1024 })
}
