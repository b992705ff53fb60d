import { CorruptObjectError } from '../../errors.js'
import { algorithmOf } from '../../object/digest.js'
import type { StoreSession } from '../object-store.js'
import { PackSession } from './pack-session.js'
import {
  codedSource,
  type StreamedObject,
  type StreamedPart,
} from './pack-stream-reader.js'
import type { Zstd } from './zstd.js'
import { FrameChecker, readFrames } from './zstd-frames.js'

/** Commits what a pack stream holds, in its order, into any session. */
export async function importPackStream(
  parts: AsyncIterable<StreamedPart>,
  session: StoreSession,
  zstd: () => Promise<Zstd>,
): Promise<void> {
  for await (const part of parts) {
    if (part.kind === 'large') await importLarge(part, session, zstd)
    else if (session instanceof PackSession) await session.putStored(part.objects)
    else for (const object of part.objects) await importWhole(object, session, zstd)
  }
}

async function importWhole(
  object: StreamedObject,
  session: StoreSession,
  zstd: () => Promise<Zstd>,
): Promise<void> {
  const { digest, type, size, codec, stored } = object
  await using writer = await session.stream({
    type,
    size,
    algorithm: algorithmOf(digest),
  })
  if (codec === 'raw') await writer.write(stored)
  else {
    const plain = readFrames(codedSource(object, stored), await zstd(), {
      from: 0,
      to: size,
    })
    for (const chunk of plain) await writer.write(chunk)
  }
  expectDigest(object, writer.digest())
  await writer.commit()
}

async function importLarge(
  { record, chunks }: Extract<StreamedPart, { kind: 'large' }>,
  session: StoreSession,
  zstd: () => Promise<Zstd>,
): Promise<void> {
  const { digest, type, size, codec } = record
  await using writer = await session.stream({
    type,
    size,
    algorithm: algorithmOf(digest),
  })
  const frames = new FrameChecker(record, problem => corrupt(digest, problem))
  const codecOf = codec === 'raw' ? undefined : await zstd()
  // The table of lengths comes first; the reader has checked it.
  let index = -1
  for await (const chunk of chunks) {
    if (codecOf === undefined) await writer.write(chunk)
    else if (index >= 0) await writer.write(frames.decode(index, chunk, codecOf))
    index += 1
  }
  expectDigest(record, writer.digest())
  await writer.commit()
}

function expectDigest({ digest }: { digest: string }, found: string): void {
  if (found !== digest) throw corrupt(digest, `found ${found}`)
}

function corrupt(digest: string, problem: string): CorruptObjectError {
  return new CorruptObjectError(`object ${digest} is corrupt: ${problem}`, { digest })
}
