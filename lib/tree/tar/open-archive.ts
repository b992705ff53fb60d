import { ByteSource } from './byte-source.js'
import { decompress } from './decompress.js'
import { ExpansionLimit } from './expansion-limit.js'
import { type TarMember, TarReader } from './tar-reader.js'

/** An archive that is being read. */
export interface OpenArchive extends AsyncDisposable {
  /** The next entry; undefined at the end. */
  next(): Promise<TarMember | undefined>
}

/** Opens an archive; gzip and zstd are known by their first bytes, and undone. */
export async function openArchive(
  archive: AsyncIterable<Uint8Array>,
  { maxBytes }: { readonly maxBytes?: number | undefined } = {},
): Promise<OpenArchive> {
  const limit = new ExpansionLimit(maxBytes)
  const source = new ByteSource(decompress(archive, limit))
  const reader = new TarReader(source, limit)
  return {
    next: () => reader.next(),
    [Symbol.asyncDispose]: () => source.close(),
  }
}
