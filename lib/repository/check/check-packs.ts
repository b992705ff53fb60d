import { join } from 'node:path'
import { CorruptObjectError, InvalidObjectError } from '../../errors.js'
import { condemnedName } from '../../store/pack/condemned-list.js'
import { checkMultiIndex, checkOrder } from '../../store/pack/index-check.js'
import { multiName } from '../../store/pack/multi-index.js'
import type { PackFile } from '../../store/pack/pack-file.js'
import type { PackFolder } from '../../store/pack/pack-folder.js'
import { segmentRanges } from '../../store/pack/segment-scan.js'
import { type Finding, type FindingKind, findingOf } from './finding.js'
import type { ScanDepth, ScanUnit } from './scan-unit.js'

// So much is scanned by itself: enough to keep a thread busy for a moment.
const rangeBytes = 32 * 1024 * 1024
const rangeRows = 16_384

/**
 * Checks what of packs can be checked without reading objects: that each can be opened and
 * its index has its checksum and its order, and that the merged index says the same.
 */
export function* checkPacks(folder: PackFolder): Generator<Finding, void> {
  folder.refresh()
  const packs = folder.packs
  for (const [path, error] of folder.broken) {
    const kind: FindingKind = path.endsWith(`/${multiName}`)
      ? 'damaged-index'
      : path.endsWith(`/${condemnedName}`)
        ? 'damaged-list'
        : 'damaged-pack'
    yield findingOf(error, { severity: 'error', kind, where: path })
  }
  for (const pack of packs) {
    const where = pack.path
    yield* problemOf('damaged-pack', where, () => {
      pack.checkTrailer()
      checkOrder(pack.index, where, { repeats: false })
    })
  }
  const { multi } = folder
  if (multi === undefined) return
  yield* problemOf('damaged-index', join(folder.path, multiName), () =>
    checkMultiIndex(multi, name => folder.get(name)),
  )
}

/** Cuts the packs into units to scan; one whose segments cannot be told apart is told. */
export function* unitsOfPacks(
  folder: PackFolder,
  depth: ScanDepth,
  report: (finding: Finding) => void,
): Generator<ScanUnit, void> {
  for (const pack of folder.packs) {
    if (depth === 'quick') {
      yield* rowsOf(pack, depth)
      continue
    }
    try {
      for (const range of segmentRanges(pack, rangeBytes)) {
        yield { kind: 'segments', pack: pack.name, ...range }
      }
    } catch (error) {
      if (!(error instanceof InvalidObjectError || error instanceof CorruptObjectError)) {
        throw error
      }
      const finding = {
        severity: 'error',
        kind: 'damaged-pack',
        where: pack.path,
      } as const
      report(findingOf(error, finding))
      // What lies behind can be found through the trailer alone.
      yield* rowsOf(pack, depth)
    }
  }
}

/** The rows of one pack as units. */
export function* rowsOf(pack: PackFile, depth: ScanDepth): Generator<ScanUnit, void> {
  for (const { algorithm, count } of pack.index.tables) {
    for (let from = 0; from < count; from += rangeRows) {
      const to = Math.min(count, from + rangeRows)
      yield { kind: 'rows', pack: pack.name, algorithm, from, to, depth }
    }
  }
}

function* problemOf(
  kind: FindingKind,
  where: string,
  check: () => void,
): Generator<Finding, void> {
  try {
    check()
  } catch (error) {
    if (!(error instanceof InvalidObjectError || error instanceof CorruptObjectError)) {
      throw error
    }
    yield findingOf(error, { severity: 'error', kind, where })
  }
}
