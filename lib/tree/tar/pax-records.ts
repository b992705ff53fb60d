import { type ArchivePlace, invalidArchive } from './archive-error.js'

/** One record of an extended header. */
export type PaxRecord = { readonly key: Buffer; readonly value: Buffer }

const maxLengthDigits = 8

/** Encodes a record: its own length in decimal, a blank, key, "=", value, newline. */
export function encodePaxRecord(key: string | Buffer, value: string | Buffer): Buffer {
  const body = Buffer.concat([
    Buffer.from(' '),
    Buffer.from(key),
    Buffer.from('='),
    Buffer.from(value),
    Buffer.from('\n'),
  ])
  // The digits count themselves, which may take one more of them.
  let length = body.length + String(body.length).length
  length = body.length + String(length).length
  return Buffer.concat([Buffer.from(String(length)), body])
}

/**
 * Decodes an extended header record by record; throws InvalidArchiveError for bytes that
 * are no whole record.
 */
export function* decodePaxRecords(
  bytes: Buffer,
  place: ArchivePlace,
): Generator<PaxRecord> {
  for (let start = 0; start < bytes.length; ) {
    const blank = bytes.subarray(start, start + maxLengthDigits + 1).indexOf(0x20)
    const digits = bytes.toString('latin1', start, start + Math.max(blank, 0))
    const length = /^[1-9]\d*$/.test(digits) ? Number(digits) : 0
    const end = start + length
    if (length <= blank + 2 || end > bytes.length || bytes[end - 1] !== 0x0a) {
      throw invalidArchive(place, `byte ${start} of an extended header starts no record`)
    }
    const body = bytes.subarray(start + blank + 1, end - 1)
    const equals = body.indexOf(0x3d)
    if (equals < 1) {
      throw invalidArchive(place, `byte ${start} of an extended header has no key`)
    }
    yield { key: body.subarray(0, equals), value: body.subarray(equals + 1) }
    start = end
  }
}
