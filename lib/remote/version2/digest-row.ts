import { InvalidObjectError } from '../../errors.js'
import { findAlgorithmById } from '../../object/algorithm.js'
import { type Digest, digestBytes, findDigestAt } from '../../object/digest.js'

/** Joins digests to the row in which requests carry them: binary, back to back. */
export function encodeDigestRow(digests: readonly Digest[]): Buffer {
  return Buffer.concat(digests.map(digest => digestBytes(digest)))
}

/** Splits a row of digests, at most `maximum`; throws InvalidObjectError. */
export function decodeDigestRow(row: Buffer, maximum: number): Digest[] {
  const digests: Digest[] = []
  for (let start = 0; start < row.length; ) {
    const algorithm = findAlgorithmById(row[start] ?? 255)
    const end = start + 1 + (algorithm?.hashBytes ?? 0)
    const digest = findDigestAt(row, start, Math.min(end, row.length))
    if (digest === undefined) {
      throw new InvalidObjectError(`invalid row of digests: no digest at byte ${start}`, {
        offset: start,
      })
    }
    if (digests.length === maximum) {
      throw new InvalidObjectError(
        `invalid row of digests: expected at most ${maximum}, found more`,
        { limit: maximum },
      )
    }
    digests.push(digest)
    start = end
  }
  return digests
}
