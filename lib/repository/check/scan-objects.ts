import { join } from 'node:path'
import type { ObjectStore } from '../../store/object-store.js'
import type { PackStore } from '../../store/pack/pack-store.js'
import { findIrregular } from '../../system/regular-file.js'
import type { StoreLayout } from '../config.js'
import { readTextNames } from '../folder-names.js'
import type { RepositoryPaths } from '../repository-paths.js'
import type { Finding } from './finding.js'
import { type ScanExtent, scanUnits } from './scan-pool.js'
import type { ScanDepth, ScanPlace, ScanUnit } from './scan-unit.js'

/** How far a check has come. */
export type CheckProgress = {
  /** Distinct objects looked at. */
  readonly objects: number
  /** Payload bytes read. */
  readonly bytes: number
}

/** What a scan is told. */
export type ScanOptions = {
  readonly depth: ScanDepth
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: CheckProgress) => void
}

/** The rooms that a scan looks into. */
export type ScannedRooms = {
  readonly paths: RepositoryPaths
  readonly objects: ObjectStore
  readonly config: { readonly layout: StoreLayout }
}

// Who remembers more findings than these has other worries than one told twice.
const maxTold = 100_000

/**
 * Verifies every object that is there, and that everything it refers to is there, too.
 *
 * Memory does not grow with the number of objects.
 */
export async function* scanObjects(
  rooms: ScannedRooms,
  options: ScanOptions,
): AsyncGenerator<Finding, void> {
  const told = new ToldOnce()
  const findings =
    rooms.config.layout === 'loose'
      ? new Scan(rooms, options).run(
          looseUnits(rooms.paths.objects, options.depth),
          looseExtent(rooms.paths.objects),
        )
      : scanPacks(rooms, options)
  for await (const finding of findings) if (told.isNew(finding)) yield finding
}

async function* scanPacks(
  rooms: ScannedRooms,
  options: ScanOptions,
): AsyncGenerator<Finding, void> {
  const { checkPacks, rowsOf, unitsOfPacks } = await import('./check-packs.js')
  const { folder } = rooms.objects as PackStore
  yield* checkPacks(folder)
  const found: Finding[] = []
  const { depth } = options
  const units = unitsOfPacks(folder, depth, finding => found.push(finding))
  const packs = folder.packs
  const extent = {
    bytes: depth === 'full' ? packs.reduce((sum, pack) => sum + pack.bytes, 0) : 0,
    objects: packs.reduce((sum, pack) => sum + pack.index.count, 0),
  }
  const scan = new Scan(rooms, options)
  for await (const finding of scan.run(units, extent)) {
    yield* found.splice(0)
    yield finding
  }
  yield* found
  // Segments that cannot be read as such hold objects that the trailer may still tell.
  const broken = packs.filter(({ name }) => scan.broken.has(name))
  yield* scan.run(
    broken.flatMap(pack => [...rowsOf(pack, 'full')]),
    extent,
  )
}

class Scan {
  /** Packs of which some segments could not be read. */
  readonly broken = new Set<string>()
  readonly #place: ScanPlace
  readonly #options: ScanOptions
  #objects = 0
  #bytes = 0

  constructor({ paths, config }: ScannedRooms, options: ScanOptions) {
    this.#place = { root: paths.root, layout: config.layout }
    this.#options = options
  }

  async *run(
    units: Iterable<ScanUnit>,
    extent: ScanExtent,
  ): AsyncGenerator<Finding, void> {
    const { signal, onProgress } = this.#options
    for await (const [unit, result] of scanUnits(this.#place, units, extent, signal)) {
      if (result.isBroken && unit.kind === 'segments') this.broken.add(unit.pack)
      this.#objects += result.objects
      this.#bytes += result.bytes
      onProgress?.({ objects: this.#objects, bytes: this.#bytes })
      yield* result.findings
    }
  }
}

// The first two bytes of digests that occur.
function loosePrefixes(objects: string): string[] {
  return namesOfFolders(objects).flatMap(algorithm =>
    namesOfFolders(join(objects, algorithm)).map(first => algorithm + first),
  )
}

// Counting them takes as long as scanning some: the folders of one branch tell how many
// there are about.
function looseExtent(objects: string): ScanExtent {
  const prefixes = loosePrefixes(objects)
  const [first = ''] = prefixes
  const branch = join(objects, first.slice(0, 2), first.slice(2))
  return { bytes: 0, objects: prefixes.length * namesOfFolders(branch).length }
}

function* looseUnits(objects: string, depth: ScanDepth): Generator<ScanUnit, void> {
  for (const prefix of loosePrefixes(objects)) yield { kind: 'loose', prefix, depth }
}

// Stray files are passed over by everyone.
function namesOfFolders(path: string): string[] {
  if (findIrregular(path) !== 'a folder') return []
  return readTextNames(path).filter(name => {
    return /^[0-9a-f]{2}$/.test(name) && findIrregular(join(path, name)) === 'a folder'
  })
}

// One bad object may be met in many ways.
class ToldOnce {
  readonly #told = new Set<string>()

  isNew({ kind, where, pack }: Finding): boolean {
    const key = `${kind} ${where} ${pack ?? ''}`
    if (this.#told.has(key)) return false
    if (this.#told.size < maxTold) this.#told.add(key)
    return true
  }
}
