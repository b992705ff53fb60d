import { join } from 'node:path'
import {
  CairnError,
  CorruptObjectError,
  InvalidObjectError,
  ObjectNotFoundError,
} from '../../errors.js'
import { LooseLayout } from '../../store/loose-layout.js'
import type { LooseStore } from '../../store/loose-store.js'
import type { WholeObject } from '../../store/object-store.js'
import type { PackFile } from '../../store/pack/pack-file.js'
import type { PackPlace } from '../../store/pack/pack-format.js'
import { openPayload, readPayload } from '../../store/pack/pack-payload.js'
import type { PackStore } from '../../store/pack/pack-store.js'
import { type ScannedObject, scanSegments } from '../../store/pack/segment-scan.js'
import type { StoreLayout } from '../config.js'
import { CheckReader } from './check-reader.js'
import { type Finding, findingOf } from './finding.js'
import { Inspector } from './inspector.js'

/** `full`: every byte. `quick`: of objects, only directories and applications are read. */
export type ScanDepth = 'full' | 'quick'

/** A part of a repository's objects, to be scanned by itself. */
export type ScanUnit =
  /** Whole segments of a pack, every byte of them. */
  | {
      readonly kind: 'segments'
      readonly pack: string
      readonly start: number
      readonly end: number
    }
  /** Objects of a pack by their rows in its trailer. */
  | {
      readonly kind: 'rows'
      readonly pack: string
      readonly algorithm: number
      readonly from: number
      readonly to: number
      readonly depth: ScanDepth
    }
  /** Objects of the loose layout whose digests start so. */
  | { readonly kind: 'loose'; readonly prefix: string; readonly depth: ScanDepth }

/** What came of one unit. */
export type ScanResult = {
  readonly findings: readonly Finding[]
  readonly objects: number
  readonly bytes: number
  /** The unit's segments could not be read as such: rows must be scanned instead. */
  readonly isBroken: boolean
}

/** Which repository's objects are scanned. */
export type ScanPlace = { readonly root: string; readonly layout: StoreLayout }

/** Scans units, one after another, with readers of its own. */
export interface UnitScanner extends Disposable {
  scan(unit: ScanUnit): Promise<ScanResult>
}

/** Opens the objects of a repository for scanning. */
export async function openScanner({ root, layout }: ScanPlace): Promise<UnitScanner> {
  if (layout === 'loose') {
    const { openLooseStore } = await import('../../store/loose-store.js')
    const loose = new LooseLayout(join(root, 'objects'))
    return new LooseScanner(openLooseStore(root), loose)
  }
  const packs = await import('../../store/pack/pack-store.js')
  return new PackScanner(new packs.PackStore(join(root, 'packs')))
}

/** Gathers what one unit finds. */
class Tally implements ScanResult {
  readonly findings: Finding[] = []
  objects = 0
  bytes = 0
  isBroken = false
}

class PackScanner implements UnitScanner {
  readonly #store: PackStore
  readonly #inspector: Inspector

  constructor(store: PackStore) {
    this.#store = store
    this.#inspector = new Inspector(new CheckReader(store), { references: 'look-up' })
    store.refresh()
  }

  async scan(unit: ScanUnit): Promise<ScanResult> {
    const tally = new Tally()
    if (unit.kind === 'loose') return tally
    const { folder } = this.#store
    const pack =
      folder.get(unit.pack) ?? (folder.refresh() ? folder.get(unit.pack) : undefined)
    // It went meanwhile, and what was needed of it lies elsewhere.
    if (pack === undefined) return tally
    const use = pack.use()
    try {
      if (unit.kind === 'rows') await this.#scanRows(pack, unit, tally)
      else await this.#scanSegments(pack, unit, tally)
    } finally {
      use[Symbol.dispose]()
    }
    return tally
  }

  [Symbol.dispose](): void {
    this.#store[Symbol.dispose]()
  }

  async #scanSegments(
    pack: PackFile,
    unit: Extract<ScanUnit, { kind: 'segments' }>,
    tally: Tally,
  ): Promise<void> {
    try {
      for await (const objects of scanSegments(pack, unit, async () =>
        this.#store.codec(),
      )) {
        for (const object of objects) {
          const metadata = this.#judge(pack, object, tally)
          // Files, by far the most, cost no promise.
          if (metadata !== undefined) await this.#inspect(await metadata, pack, tally)
        }
      }
    } catch (error) {
      if (!(error instanceof InvalidObjectError || error instanceof CorruptObjectError)) {
        throw error
      }
      const { path } = pack
      const finding = { severity: 'error', kind: 'damaged-pack', where: path } as const
      tally.findings.push({ ...findingOf(error, finding), pack: pack.name })
      tally.isBroken = true
    }
  }

  /** What is to be looked into further. */
  #judge(
    pack: PackFile,
    scanned: ScannedObject,
    tally: Tally,
  ): WholeObject | Promise<WholeObject> | undefined {
    const { place, payload, problem } = scanned
    const { digest, type, size } = place
    tally.objects += 1
    tally.bytes += size
    const isHidden = this.#store.folder.isHidden(pack, digest)
    if (problem !== undefined) {
      tally.findings.push(badObject(pack, place, problem, isHidden))
      return undefined
    }
    if (type === 'file' || isHidden) return undefined
    if (payload === undefined) return this.#read(pack, place)
    return { digest, type, size, payload }
  }

  async #scanRows(
    pack: PackFile,
    unit: Extract<ScanUnit, { kind: 'rows' }>,
    tally: Tally,
  ): Promise<void> {
    const { algorithm, from, to, depth } = unit
    for (const place of placesOf(pack, { algorithm, from, to })) {
      const isInner = place.type === 'directory' || place.type === 'application'
      tally.objects += 1
      if (depth === 'quick' && !isInner) continue
      tally.bytes += place.size
      const { digest, type } = place
      const isHidden = this.#store.folder.isHidden(pack, digest)
      if (isHidden && depth === 'quick') continue
      try {
        pack.checkPlace(place)
        if (type === 'file') await this.#verify(pack, place)
        else {
          const object = await this.#read(pack, place)
          if (!isHidden) await this.#inspect(object, pack, tally)
        }
      } catch (error) {
        if (!(error instanceof CairnError)) throw error
        tally.findings.push(badObject(pack, place, error, isHidden))
      }
    }
  }

  async #inspect(object: WholeObject, pack: PackFile, tally: Tally): Promise<void> {
    for (const finding of await this.#inspector.inspect(object)) {
      const isOwn = finding.kind === 'invalid-object'
      tally.findings.push(isOwn ? { ...finding, pack: pack.name } : finding)
    }
  }

  async #read(pack: PackFile, place: PackPlace): Promise<WholeObject> {
    const zstd = place.codec === 'raw' ? undefined : await this.#store.codec()
    return readPayload({ pack, place }, zstd)
  }

  async #verify(pack: PackFile, place: PackPlace): Promise<void> {
    await using stream = openPayload({ pack, place }, async () => this.#store.codec())
    // The stream verifies itself at its end.
    for await (const chunk of stream) if (chunk.length === 0) break
  }
}

// Ascending by offset in pieces, so that a disk is read forward.
function* placesOf(
  pack: PackFile,
  rows: { readonly algorithm: number; readonly from: number; readonly to: number },
): Generator<PackPlace> {
  const table = pack.index.tables.find(one => one.algorithm === rows.algorithm)
  if (table === undefined) return
  const { from, to } = rows
  for (const places of pack.index.placesOfTable(table, from, Math.min(to, table.count))) {
    yield* places.toSorted((one, other) => one.offset - other.offset)
  }
}

function badObject(
  pack: PackFile,
  { digest }: PackPlace,
  error: CairnError,
  isHidden: boolean,
): Finding {
  const finding = findingOf(error, {
    // Nobody sees it, unless it is brought back.
    severity: isHidden ? 'warning' : 'error',
    kind: 'corrupt-object',
    where: digest,
  })
  const message = isHidden ? `${finding.message} (in the trash)` : finding.message
  return { ...finding, message, pack: pack.name }
}

class LooseScanner implements UnitScanner {
  readonly #store: LooseStore
  readonly #layout: LooseLayout
  readonly #reader: CheckReader
  readonly #inspector: Inspector

  constructor(store: LooseStore, layout: LooseLayout) {
    this.#store = store
    this.#layout = layout
    this.#reader = new CheckReader(store)
    this.#inspector = new Inspector(this.#reader, { references: 'look-up' })
  }

  async scan(unit: ScanUnit): Promise<ScanResult> {
    const tally = new Tally()
    if (unit.kind !== 'loose') return tally
    for (const digest of this.#layout.list(unit.prefix)) {
      const [info] = await this.#store.stat([digest])
      tally.objects += 1
      const common = { severity: 'error', kind: 'corrupt-object', where: digest } as const
      if (info === undefined) {
        tally.findings.push({ ...common, message: `object ${digest} is no object file` })
        continue
      }
      const isInner = info.type === 'directory' || info.type === 'application'
      if (unit.depth === 'quick' && !isInner) continue
      tally.bytes += info.size
      try {
        if (info.type === 'file') {
          await this.#reader.verify(digest)
          continue
        }
        const [object] = await this.#reader.read([digest])
        if (object !== undefined) {
          tally.findings.push(...(await this.#inspector.inspect(object)))
        }
      } catch (error) {
        // Removed since it was listed.
        if (error instanceof ObjectNotFoundError) continue
        if (!(error instanceof CairnError)) throw error
        tally.findings.push(findingOf(error, common))
      }
    }
    return tally
  }

  [Symbol.dispose](): void {
    this.#store[Symbol.dispose]()
  }
}
