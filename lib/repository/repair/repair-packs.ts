import { join } from 'node:path'
import type { Digest } from '../../object/digest.js'
import { digestBytes } from '../../object/digest.js'
import { condemnedName } from '../../store/pack/condemned-list.js'
import { multiName } from '../../store/pack/multi-index.js'
import { needsMultiIndex, writeMultiIndex } from '../../store/pack/multi-index-writer.js'
import type { PackCalls } from '../../store/pack/pack-calls.js'
import type { PackFile } from '../../store/pack/pack-file.js'
import { type PackFolder, packSuffix } from '../../store/pack/pack-folder.js'
import type {
  PackPlace,
  PlacedObject,
  PlaceReader,
} from '../../store/pack/pack-format.js'
import {
  type CopiedObjects,
  copyObjects,
  type RewriteParts,
  removePacks,
} from '../../store/pack/pack-maintenance.js'
import { PackStore } from '../../store/pack/pack-store.js'
import { RawPack } from '../../store/pack/raw-pack.js'
import type { Finding } from '../check/finding.js'
import { type ScanOptions, scanObjects } from '../check/scan-objects.js'
import { removeIfThere } from '../durable-file.js'
import { withLock } from '../lock.js'
import type { RepositoryPaths } from '../repository-paths.js'
import type { Quarantine } from './quarantine.js'
import { rebuildTrailers } from './rebuild-index.js'
import type { RepairLedger } from './repair-report.js'

/** What a repair of objects works with. */
export type ObjectRepairParts = {
  readonly paths: RepositoryPaths
  readonly quarantine: Quarantine
  readonly ledger: RepairLedger
  readonly calls: PackCalls
  /** A folder of the repair's own, on the same filesystem. */
  readonly temp: string
  readonly scan: ScanOptions
}

const pieceBytes = 1024 * 1024

/**
 * Makes every pack one that can be read whole: trailers are made anew, what is good is
 * copied out of packs with bad objects or segments, and what is bad is put aside.
 *
 * Its caller holds the collector's lock. Whatever stops it, a repeated run goes on: a pack
 * goes when what is good of it is in another one.
 */
export async function repairPacks(parts: ObjectRepairParts): Promise<void> {
  const { paths, ledger, calls, temp, scan } = parts
  using store = new PackStore(join(paths.root, 'packs'), { purpose: 'collect' })
  const { folder } = store
  const rewrite: RewriteParts = {
    calls,
    temp,
    packs: folder.path,
    zstd: async () => store.codec(),
    signal: scan.signal,
  }
  folder.refresh()
  const hadBadIndex = folder.broken.has(join(folder.path, multiName))
  await dropBadList(folder, parts)
  const { rebuilt } = await rebuildTrailers(folder, rewrite)
  ledger.rebuilt.push(...rebuilt)
  for (const path of folder.broken.keys()) {
    if (path.endsWith(packSuffix)) await salvage(path, parts, rewrite)
  }
  folder.refresh()
  let isIndexBad = hadBadIndex
  const bad = new Map<string, Finding>()
  const config = { layout: 'pack' } as const
  for await (const finding of scanObjects({ paths, objects: store, config }, scan)) {
    const { kind, where, pack } = finding
    if (kind === 'damaged-index') isIndexBad = true
    if (kind === 'invalid-object') ledger.findings.push(finding)
    const isBadObject = kind === 'corrupt-object' && pack !== undefined
    if (isBadObject && !bad.has(pack)) bad.set(pack, finding)
    if (kind === 'damaged-pack') bad.set(where.slice(where.lastIndexOf('/') + 1), finding)
  }
  for (const [name, finding] of bad)
    await rewriteWithoutBad(folder, name, finding, parts, rewrite)
  folder.refresh()
  if (isIndexBad) removeIfThere(join(folder.path, multiName), calls)
  if (!isIndexBad && !needsMultiIndex(folder)) return
  folder.refresh()
  await writeMultiIndex(folder, rewrite)
  if (isIndexBad) ledger.rebuilt.push(join(folder.path, multiName))
}

// It condemns nothing while it cannot be read, and its collector starts again.
async function dropBadList(
  folder: PackFolder,
  { quarantine, ledger }: ObjectRepairParts,
): Promise<void> {
  const where = join(folder.path, condemnedName)
  const error = folder.broken.get(where)
  if (error === undefined) return
  ledger.quarantined.push(
    await quarantine.move({ what: 'file', where, why: error.message }),
  )
  folder.refresh()
}

/** Copies what can be read out of a pack that cannot be opened, and puts it aside. */
async function salvage(
  path: string,
  parts: ObjectRepairParts,
  rewrite: RewriteParts,
): Promise<void> {
  using raw = new RawPack(path)
  await copyObjects(placesOfSegments(raw), rewrite)
  const why = 'its segments cannot all be read'
  await withLock(parts.paths, { mode: 'exclusive' }, async () => {
    parts.ledger.quarantined.push(
      await parts.quarantine.move({ what: 'pack', where: path, why }),
    )
  })
}

function* placesOfSegments(raw: RawPack): Generator<PlacedObject> {
  for (const { places } of raw.segments()) {
    for (const place of places) yield { pack: raw, place }
  }
}

async function rewriteWithoutBad(
  folder: PackFolder,
  name: string,
  finding: Finding,
  parts: ObjectRepairParts,
  rewrite: RewriteParts,
): Promise<void> {
  const pack = folder.get(name)
  if (pack === undefined) return
  const { paths, quarantine, ledger, calls } = parts
  const use = pack.use()
  try {
    const { bad } = await copyObjects(placesToKeep(folder, pack), rewrite)
    const kept = await keepBad(pack, bad, parts)
    await withLock(paths, { mode: 'exclusive' }, async () => {
      if (finding.kind === 'corrupt-object') {
        await removePacks([name], { calls, packs: folder.path })
      } else {
        const condition = {
          what: 'pack',
          where: pack.path,
          why: finding.message,
        } as const
        ledger.quarantined.push(await quarantine.move(condition))
      }
    })
    ledger.quarantined.push(...kept)
  } finally {
    use[Symbol.dispose]()
  }
}

// What is being removed must not come back: what it refers to may be gone.
function* placesToKeep(folder: PackFolder, pack: PackFile): Generator<PlacedObject> {
  const dead = folder.condemned.generations
    .filter(({ kind }) => kind === 'dead')
    .flatMap(({ packs }) => packs.get(pack.name) ?? [])
  const isDead = (digest: Digest): boolean => {
    const ordinal =
      dead.length === 0 ? undefined : pack.index.ordinal(digestBytes(digest))
    return ordinal !== undefined && dead.some(set => set.has(ordinal))
  }
  for (const table of pack.index.tables) {
    for (const places of pack.index.placesOfTable(table, 0, table.count)) {
      for (const place of places.toSorted((one, other) => one.offset - other.offset)) {
        if (!isDead(place.digest)) yield { pack, place }
      }
    }
  }
}

async function keepBad(
  pack: PlaceReader,
  bad: CopiedObjects['bad'],
  { quarantine }: ObjectRepairParts,
) {
  const kept = []
  for (const { place, error } of bad) {
    const { digest } = place
    const condition = {
      what: 'object',
      digest,
      where: pack.path,
      why: error.message,
    } as const
    kept.push(await quarantine.keep(condition, readablePieces(pack, place)))
  }
  return kept
}

// As far as they can be read.
function* readablePieces(pack: PlaceReader, place: PackPlace): Generator<Buffer> {
  for (let offset = 0; offset < place.storedSize; offset += pieceBytes) {
    const length = Math.min(pieceBytes, place.storedSize - offset)
    try {
      yield pack.readPlace(place, offset, length)
    } catch {
      return
    }
  }
}
