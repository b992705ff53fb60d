import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import { InvalidObjectError } from '../../errors.js'
import { writeFailure } from '../storage-full.js'
import { writeData } from './large-payload.js'
import { alignedFlag, packHeaderBytes } from './pack-format.js'
import type { RewriteParts } from './pack-maintenance.js'
import { encodePackHeader } from './pack-writer.js'
import { PlaceTable } from './place-table.js'
import { RawPack, type RawSegment } from './raw-pack.js'
import { encodeEndMark, segmentHeaderBytes } from './segment.js'

const copyBytes = 1024 * 1024

/**
 * Makes a pack's header and trailer anew from its segments, whose bytes stay as they are
 * and are not verified; the new file takes the place of the old one, durably.
 *
 * Whoever reads the old file goes on with it. Memory grows with the pack's objects, by
 * some 65 bytes each. Throws InvalidObjectError, and changes nothing, for a pack of which a
 * segment cannot be read, or that holds no object.
 */
export async function rebuildTrailer(
  path: string,
  parts: Pick<RewriteParts, 'calls' | 'temp' | 'signal'>,
): Promise<void> {
  using raw = new RawPack(path)
  const places = new PlaceTable()
  let aligned = true
  const { end } = readSegments(raw, segment => {
    aligned = segment.aligned
    for (const place of segment.places) places.add(place.digest, place, place.offset)
    places.settle(0, 0)
  })
  const { calls, temp, signal } = parts
  const made = join(temp, `rebuilt-${randomBytes(8).toString('hex')}`)
  try {
    const fd = calls.create(made)
    const write = (bytes: Uint8Array, position: number): void => {
      for (let done = 0; done < bytes.length; ) {
        done += calls.writeAt(fd, bytes.subarray(done), position + done)
      }
    }
    try {
      write(encodePackHeader(aligned ? alignedFlag : 0), 0)
      for (let at = packHeaderBytes; at < end; at += copyBytes) {
        signal?.throwIfAborted()
        writeData({ write }, raw.read(at, Math.min(copyBytes, end - at)), at)
      }
      write(encodeEndMark(places.count), end)
      write(places.encodeTrailer(end + segmentHeaderBytes), end + segmentHeaderBytes)
      await calls.sync(fd)
    } finally {
      calls.close(fd)
    }
    calls.rename(made, path)
    await syncFolder(dirname(path), parts)
  } catch (error) {
    throw writeFailure(error, path)
  }
}

function readSegments(
  raw: RawPack,
  take: (segment: RawSegment) => void,
): { readonly end: number } {
  const segments = raw.segments()
  let count = 0
  let next = segments.next()
  for (; next.done !== true; next = segments.next()) {
    take(next.value)
    count += 1
  }
  const { end, isWhole } = next.value
  if (isWhole && count > 0) return { end }
  const { path } = raw
  throw new InvalidObjectError(
    `invalid pack ${path}: its segments cannot all be read, so no trailer can be made of them`,
    { path },
  )
}

async function syncFolder(
  path: string,
  { calls }: Pick<RewriteParts, 'calls'>,
): Promise<void> {
  const fd = calls.open(path)
  try {
    await calls.sync(fd)
  } finally {
    calls.close(fd)
  }
}
