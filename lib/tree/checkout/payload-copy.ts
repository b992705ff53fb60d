import { ftruncateSync, readSync } from 'node:fs'
import { CorruptObjectError } from '../../errors.js'
import { algorithmOf, type Digest } from '../../object/digest.js'
import { createObjectDigester } from '../../object/digester.js'
import type { PayloadPlace } from '../../store/object-store.js'
import { cloneRange } from '../../system/clone-range.js'

/** From this size on a payload is shared with the store, where the filesystem can. */
const clonedFrom = 1024 * 1024
const blockBytes = 4096

/** What a payload is copied through. */
export type CopyTools = {
  /** Each at least a block; used by turns, and kept over copies. */
  readonly rooms: readonly [Buffer, ...Buffer[]]
  readonly write: (chunk: Uint8Array) => void
  /** Whether what is shared instead of copied is verified. */
  readonly verify: boolean
}

/**
 * Gives a new file a payload that lies in another file, verified, and yields the bytes
 * done so far in between; throws CorruptObjectError.
 */
export function* copyPayload(
  fd: number,
  { place, digest }: { readonly place: PayloadPlace; readonly digest: Digest },
  { rooms, write, verify }: CopyTools,
): Generator<number, void, void> {
  const isCloned = place.size >= clonedFrom && clonePayload(fd, place)
  if (isCloned && !verify) {
    yield place.size
    return
  }
  const digester = createObjectDigester(algorithmOf(digest), 'file')
  for (let done = 0, turn = 0; done < place.size; turn++) {
    const room = rooms[turn % rooms.length] ?? rooms[0]
    // The hash counts the type byte in: one byte less keeps its blocks whole.
    const most = done === 0 ? room.length - 1 : room.length
    const chunk = room.subarray(0, Math.min(place.size - done, most))
    if (!readWhole(place.fd, chunk, place.offset + done)) {
      throw corrupt(digest, 'its pack is cut off')
    }
    digester.update(chunk)
    if (!isCloned) write(chunk)
    done += chunk.length
    yield done
  }
  const found = digester.digest()
  if (found !== digest) throw corrupt(digest, `found ${found}`)
}

/** Fills a buffer from a place of a file; false when the file is shorter than that. */
export function readWhole(fd: number, room: Buffer, offset: number): boolean {
  for (let done = 0; done < room.length; ) {
    const count = readSync(fd, room, done, room.length - done, offset + done)
    if (count === 0) return false
    done += count
  }
  return true
}

// Zeros follow an aligned payload up to the end of its last block.
function clonePayload(target: number, { fd, offset, size }: PayloadPlace): boolean {
  if (offset % blockBytes !== 0) return false
  const length = Math.ceil(size / blockBytes) * blockBytes
  if (!cloneRange(target, { fd, offset, length })) return false
  ftruncateSync(target, size)
  return true
}

function corrupt(digest: Digest, problem: string): CorruptObjectError {
  return new CorruptObjectError(`object ${digest} is corrupt: ${problem}`, { digest })
}
