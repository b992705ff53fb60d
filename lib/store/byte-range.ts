import { InvalidArgumentError } from '../errors.js'
import type { ByteRange } from './object-store.js'

/** Bytes of the largest chunk that an ObjectStream gives out. */
export const maxChunkBytes = 1024 * 1024

/** Cuts a range at the end of a payload; throws InvalidArgumentError for no range. */
export function cutRange(range: ByteRange, size: number): ByteRange {
  const { offset, length } = range
  if (
    !Number.isSafeInteger(offset) ||
    !Number.isSafeInteger(length) ||
    offset < 0 ||
    length < 0
  ) {
    throw new InvalidArgumentError(
      `invalid range: expected an offset and a length of at least 0, found ${offset} and ${length}`,
      { offset, length },
    )
  }
  const start = Math.min(offset, size)
  return { offset: start, length: Math.min(length, size - start) }
}
