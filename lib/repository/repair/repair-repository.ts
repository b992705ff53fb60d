import { lstatSync, realpathSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CairnError, InvalidRepositoryError } from '../../errors.js'
import { type Digest, findDigest } from '../../object/digest.js'
import { type PackCalls, systemPackCalls } from '../../store/pack/pack-calls.js'
import { checkKinds } from '../check/check-files.js'
import type { Finding } from '../check/finding.js'
import type { CheckProgress } from '../check/scan-objects.js'
import { lockCollector } from '../gc/collector-lock.js'
import type { LockOptions } from '../lock.js'
import { openRepository } from '../open.js'
import type { Repository } from '../repository.js'
import { type RepositoryPaths, repositoryPaths } from '../repository-paths.js'
import { SessionRegistry } from '../session-registry.js'
import type { HealingSource, WantedObject } from './healing-source.js'
import { findUses } from './object-uses.js'
import { Quarantine } from './quarantine.js'
import { repairConfig } from './repair-config.js'
import { RepairLedger, type RepairReport } from './repair-report.js'
import { repairTagFiles, repairTagLogs } from './repair-tags.js'

/** How a repository is repaired. */
export type RepairOptions = LockOptions & {
  /** Where missing objects may be had from, in the order to ask. */
  readonly sources?: readonly HealingSource[]
  readonly onProgress?: (progress: CheckProgress) => void
  /** Writes through these instead of the system's own. */
  readonly calls?: PackCalls
}

// Each round heals what the one before uncovered; a source that has all needs one.
const maxRounds = 16

/**
 * Repairs a repository as far as it and the sources allow; others may go on using it.
 *
 * Whatever is bad is put aside into `ROOT/quarantine` and counts as absent from then on;
 * what is derived is made anew; what is missing is asked for from the sources, verified
 * and published. A run that was stopped is finished by the next one.
 *
 * Throws LockBusyError while a collector works, RepositoryNotFoundError, StorageFullError.
 */
export async function repairRepository(
  root: string,
  options: RepairOptions = {},
): Promise<RepairReport> {
  const { calls = systemPackCalls, signal, sources = [], onProgress, ...rest } = options
  const wait = { ...rest, ...(signal === undefined ? {} : { signal }) }
  const ledger = new RepairLedger()
  const paths = repositoryPaths(realRoot(root))
  const quarantine = new Quarantine(paths.root, calls)
  if (isLikely(paths)) await repairFrame(paths, quarantine, ledger, calls)
  using repository = await openRepository(paths.root, { calls })
  using lock = await lockCollector(paths.root, wait)
  const sessions = new SessionRegistry(paths)
  await sessions.sweep()
  await using session = await sessions.begin('repair', wait)
  const scan = {
    depth: 'full' as const,
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  }
  const parts = { paths, quarantine, ledger, calls, temp: session.folder, scan }
  if (repository.config.layout === 'pack') {
    const { repairPacks } = await import('./repair-packs.js')
    await repairPacks(parts)
  } else {
    const { repairLoose } = await import('./repair-loose.js')
    await repairLoose(parts)
  }
  await repairRemotes(repository, paths, quarantine, ledger)
  const { tags, objects } = repository
  const tagged = { paths, tags, objects, quarantine, calls }
  ledger.quarantined.push(...(await repairTagLogs(tagged)))
  await heal(repository, sources, ledger, signal)
  const restored = await repairTagFiles(tagged)
  ledger.quarantined.push(...restored)
  if (restored.length > 0) await heal(repository, sources, ledger, signal)
  const report = await finish(repository, ledger)
  lock[Symbol.dispose]()
  return report
}

function realRoot(root: string): string {
  // What is wrong with it is told when it is opened.
  return lstatSync(root, { throwIfNoEntry: false }) ? realpathSync(root) : resolve(root)
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

// Nothing may be moved about in a folder that only happens to have been named.
function isLikely({ root, objects, tags, config }: RepositoryPaths): boolean {
  return (
    isThere(objects) && isThere(tags) && (isThere(config) || isThere(join(root, 'packs')))
  )
}

/** Repairs what a repository cannot be opened or locked without. */
async function repairFrame(
  paths: RepositoryPaths,
  quarantine: Quarantine,
  ledger: RepairLedger,
  calls: PackCalls,
): Promise<void> {
  // Found before any is moved: a folder is not walked while it changes.
  const irregular = Array.from(checkKinds(paths))
  for (const { where, message } of irregular) {
    // A tag's value may be had from its log, while nobody takes the tag for removed.
    if (where.startsWith(`${paths.tags}/`)) continue
    ledger.quarantined.push(await quarantine.move({ what: 'file', where, why: message }))
  }
  const config = await repairConfig(paths, quarantine, calls)
  if (config === undefined) return
  ledger.rebuilt.push(paths.config)
  if (config !== 'made') ledger.quarantined.push(config)
}

async function repairRemotes(
  { remotes }: Repository,
  { remotes: where }: RepositoryPaths,
  quarantine: Quarantine,
  ledger: RepairLedger,
): Promise<void> {
  try {
    await remotes.list()
  } catch (error) {
    if (!(error instanceof InvalidRepositoryError)) throw error
    const why = error.message
    ledger.quarantined.push(await quarantine.move({ what: 'file', where, why }))
  }
}

/** Asks the sources for what is missing, until nothing more comes of it. */
async function heal(
  repository: Repository,
  sources: readonly HealingSource[],
  ledger: RepairLedger,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (sources.length === 0) return
  for (let round = 0; round < maxRounds; round++) {
    const missing = await missingObjects(repository)
    let left = [...missing.values()]
    for (const source of sources) {
      if (left.length === 0) break
      try {
        await source.heal(left, {
          begin: async () =>
            repository.begin({ purpose: 'repair', publishing: 'gradual' }),
          published: repository.objects,
          signal,
          onProblem: (where, message) => ledger.problems.push({ where, message }),
        })
      } catch (error) {
        signal?.throwIfAborted()
        if (!(error instanceof CairnError) || error.code === 'storage_full') throw error
        ledger.problems.push({ where: source.name, message: error.message })
      }
      left = await noteHealed(repository, left, source.name, ledger)
    }
    if (left.length === missing.size) return
  }
}

async function noteHealed(
  { objects }: Repository,
  wanted: readonly WantedObject[],
  source: string,
  ledger: RepairLedger,
): Promise<WantedObject[]> {
  objects.refresh?.()
  const infos = await objects.stat(wanted.map(({ digest }) => digest))
  return wanted.filter(({ digest }, index) => {
    const info = infos[index]
    if (info !== undefined) ledger.healed.push({ digest, ...info, source })
    return info === undefined
  })
}

async function missingObjects(
  repository: Repository,
): Promise<ReadonlyMap<Digest, WantedObject>> {
  const missing = new Map<Digest, WantedObject>()
  for (const finding of await findingsOf(repository)) {
    const digest = findDigest(finding.where)
    if (finding.kind !== 'missing-object' || digest === undefined) continue
    missing.set(digest, { digest, descriptor: finding.missing })
  }
  return missing
}

async function findingsOf(repository: Repository): Promise<Finding[]> {
  const findings: Finding[] = []
  for await (const finding of repository.check({ objects: 'all', depth: 'quick' })) {
    findings.push(finding)
  }
  return findings
}

async function finish(
  repository: Repository,
  ledger: RepairLedger,
): Promise<RepairReport> {
  const left = (await findingsOf(repository)).filter(one => one.severity !== 'notice')
  const wanted = new Set(
    left.flatMap(({ kind, where }) =>
      kind === 'missing-object' ? (findDigest(where) ?? []) : [],
    ),
  )
  const uses = await findUses(repository, wanted)
  const { quarantined, rebuilt, healed, problems } = ledger
  const unhealed = [...ledger.findings, ...left].map(finding => {
    const digest = findDigest(finding.where)
    return { ...finding, uses: (digest && uses.get(digest)) ?? [] }
  })
  return { quarantined, rebuilt, healed, unhealed, problems }
}
