import { rm } from 'node:fs/promises'
import type { Digest } from '../../object/digest.js'
import type { ObjectReader } from '../../store/object-store.js'
import { type LeftPacks, readLeftPack } from '../../store/pack/left-packs.js'
import { PackStore } from '../../store/pack/pack-store.js'
import type { StreamedPart } from '../../store/pack/pack-stream-reader.js'
import type { Zstd } from '../../store/pack/zstd.js'
import type { PackReceiver } from './receive-pack.js'

/**
 * Commits what transfers that were cut off left in their folder, and removes it there;
 * tells the digests of all that need not come again, `maximum` at most.
 */
export async function adoptLeft(
  left: LeftPacks,
  receiver: PackReceiver,
  options: {
    readonly published: ObjectReader
    readonly zstd: () => Promise<Zstd>
    readonly maximum: number
  },
): Promise<Digest[]> {
  const { published, zstd, maximum } = options
  const digests: Digest[] = []
  const add = (digest: Digest): void => {
    if (digests.length < maximum) digests.push(digest)
  }
  if (published instanceof PackStore) {
    for (const digest of published.listPacks(new Set(left.moved))) add(digest)
  }
  // A pack of one session may refer to files in another one of it.
  for (const kind of ['leaves', 'inner'] as const) {
    for (const path of left.paths) {
      await readLeftPack(path, zstd, async parts =>
        receiver.adopt(only(kind, parts), ({ digest }) => add(digest)),
      )
    }
  }
  for (const folder of left.folders) await rm(folder, { recursive: true, force: true })
  return digests
}

async function* only(
  kind: 'leaves' | 'inner',
  parts: AsyncIterable<StreamedPart>,
): AsyncGenerator<StreamedPart> {
  const isWanted = ({ type }: { type: string }): boolean =>
    (type === 'file' || type === 'header') === (kind === 'leaves')
  for await (const part of parts) {
    if (part.kind === 'whole') {
      yield { kind: 'whole', objects: part.objects.filter(isWanted) }
    } else if (isWanted(part.record)) yield part
  }
}
