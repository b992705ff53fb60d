import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Digest } from '../../lib/object/digest.js'
import type { ObjectInfo, ObjectReader } from '../../lib/store/object-store.js'
import { askedRange, namesEtag } from './byte-range-header.js'
import type { Version2Context, Version2Exchange } from './context.js'
import { paced, takePlace } from './transfer-place.js'

/** A payload, and where it is. */
export type Payload = ObjectInfo & {
  readonly objects: ObjectReader
  readonly digest: Digest
}

/**
 * Answers with the payload of an object: the same for ever, so it may be kept for ever.
 *
 * A payload that is read whole is held against its digest; if it does not have it, the
 * connection breaks off before its last byte.
 */
export async function sendPayload(
  context: Version2Context,
  exchange: Version2Exchange,
  { objects, digest, size, type }: Payload,
): Promise<void> {
  const { request, response, log, repositoryPath } = exchange
  const isPublic = await context.admission.isPublic(repositoryPath.join('/'))
  if (!isPublic) response.vary('Authorization')
  const etag = `"${digest}"`
  response.set({
    'Accept-Ranges': 'bytes',
    'Cache-Control': `${isPublic ? 'public' : 'private'}, max-age=31536000, immutable`,
    'Cairn-Object-Type': type,
    'Content-Type': 'application/octet-stream',
    ETag: etag,
    'X-Content-Type-Options': 'nosniff',
  })
  if (namesEtag(request.headers['if-none-match'], etag)) {
    response.status(304).end()
    return
  }
  const range = askedRange(request, size, etag)
  if (range.kind === 'unsatisfiable') {
    response.status(416).set('Content-Range', `bytes */${size}`).end()
    return
  }
  if (range.kind === 'part') {
    const { offset, length } = range
    response.status(206)
    response.set('Content-Range', `bytes ${offset}-${offset + length - 1}/${size}`)
  }
  const length = range.kind === 'part' ? range.length : size
  response.set('Content-Length', String(length))
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  using place = takePlace(context, exchange, 'pull')
  log.add({ objects: 1, bytes: length })
  const stream = await objects.open(digest, range.kind === 'part' ? range : undefined)
  const body = paced(withoutLast(stream), place)
  await pipeline(Readable.from(body, { objectMode: false }), response)
}

// The last chunk goes out when the digest was found right, so that what is wrong is short.
async function* withoutLast(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let held: Uint8Array | undefined
  for await (const chunk of chunks) {
    if (held !== undefined) yield held
    held = chunk
  }
  if (held !== undefined) yield held
}
