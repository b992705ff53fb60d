import { IncompleteClosureError, LimitExceededError } from '../errors.js'
import {
  applicationDependencies,
  applicationTotals,
  decodeApplication,
} from '../object/application.js'
import { batchesOf } from '../object/batches.js'
import type { Descriptor, SubObjectTotals } from '../object/descriptor.js'
import { totalsOf } from '../object/directory.js'
import { DirectoryView } from '../object/directory-view.js'
import {
  checkOneAlgorithm,
  maxMetadataBytes,
  walkDependencies,
} from '../object/received-object.js'
import type { PackRecord } from '../store/pack/pack-format.js'
import {
  codedSource,
  type StreamedObject,
  type StreamedPart,
} from '../store/pack/pack-stream-reader.js'
import type { Zstd } from '../store/pack/zstd.js'
import { readFrames } from '../store/pack/zstd-frames.js'
import type { KnownObjects } from './known-objects.js'

type Inner = {
  readonly descriptor: Descriptor
  readonly below: () => Iterable<Descriptor>
}

const lookBatch = 1024

/**
 * Hands the parts of a pack stream on to whoever commits them, and holds each to the rule
 * that all it refers to stands in it, in front of it, or in the store already, and is what
 * the reference says.
 *
 * Throws IncompleteClosureError, InvalidObjectError, LimitExceededError.
 */
export async function* checkedClosure(
  parts: AsyncIterable<StreamedPart>,
  known: KnownObjects,
  { where, zstd }: { readonly where: string; readonly zstd: () => Promise<Zstd> },
): AsyncGenerator<StreamedPart> {
  for await (const part of parts) {
    const gathered = part.kind === 'large' ? new LargeInner(part.record) : undefined
    const inner = part.kind === 'whole' ? await innerOf(part.objects, zstd) : []
    if (part.kind === 'large' && gathered?.isInner === true) {
      yield { ...part, chunks: gathered.watch(part.chunks) }
      inner.push(...(await innerOf([gathered.object()], zstd)))
    } else yield part
    // By now it is committed, so the session knows its digests.
    for (const { descriptor } of inner) known.addReceived(descriptor)
    for (const { descriptor, below } of inner)
      await check(descriptor, below, known, where)
    known.flushed()
  }
}

async function check(
  { digest, type }: Descriptor,
  below: () => Iterable<Descriptor>,
  known: KnownObjects,
  where: string,
): Promise<void> {
  checkOneAlgorithm(digest, below())
  for (const batch of batchesOf(below(), lookBatch)) {
    await known.look(batch)
    const missing = batch.find(one => !known.has(one.digest))
    if (missing === undefined) continue
    throw new IncompleteClosureError(
      `incomplete bundle ${where}: ${type} ${digest} refers to ${missing.type} ` +
        `${missing.digest}, which does not come before it`,
      { where, digest, missing: missing.digest },
    )
  }
}

async function innerOf(
  objects: readonly StreamedObject[],
  zstd: () => Promise<Zstd>,
): Promise<Inner[]> {
  const inner: Inner[] = []
  for (const object of objects) {
    const { digest, type, size } = object
    if (type !== 'directory' && type !== 'application') continue
    checkSize(object)
    const { below, totals } = parse(type, await plainOf(object, zstd))
    inner.push({ descriptor: { digest, type, size, ...totals }, below })
  }
  return inner
}

function parse(
  type: 'application' | 'directory',
  payload: Buffer,
): { below: () => Iterable<Descriptor>; totals: SubObjectTotals } {
  if (type === 'application') {
    const application = decodeApplication(payload, 'strict')
    const totals = applicationTotals(application)
    return { below: () => applicationDependencies(application), totals }
  }
  const directory = new DirectoryView(payload, 'strict')
  // Read again when it is their turn: a segment has many directories.
  const below = () => walkDependencies(type, payload, 'strict')
  return { below, totals: totalsOf(directory) }
}

async function plainOf(
  object: StreamedObject,
  zstd: () => Promise<Zstd>,
): Promise<Buffer> {
  const { codec, stored, size } = object
  if (codec === 'raw') return stored
  const range = { from: 0, to: size }
  return Buffer.concat([...readFrames(codedSource(object, stored), await zstd(), range)])
}

function checkSize({ type, digest, size }: PackRecord): void {
  if (size <= maxMetadataBytes) return
  throw new LimitExceededError(
    `${type} ${digest} is too large: expected at most ${maxMetadataBytes} bytes, found ${size}`,
    { type, digest, limit: maxMetadataBytes, found: size },
  )
}

// One beyond 8 MiB, gathered while it is committed.
class LargeInner {
  readonly #record: PackRecord
  readonly #chunks: Buffer[] = []

  constructor(record: PackRecord) {
    this.#record = record
  }

  get isInner(): boolean {
    const { type } = this.#record
    return type === 'directory' || type === 'application'
  }

  async *watch(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    checkSize(this.#record)
    for await (const chunk of chunks) {
      this.#chunks.push(chunk)
      yield chunk
    }
  }

  object(): StreamedObject {
    return { ...this.#record, stored: Buffer.concat(this.#chunks) }
  }
}
