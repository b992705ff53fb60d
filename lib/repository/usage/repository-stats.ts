import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { walkClosure } from '../../closure/closure-walk.js'
import type { Descriptor } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import type { ObjectType } from '../../object/object-type.js'
import type { ObjectReader } from '../../store/object-store.js'
import { CheckReader } from '../check/check-reader.js'
import type { Repository } from '../repository.js'
import { LargestFiles } from './largest-files.js'
import { NumberTable, numberObjects, type ObjectNumbers } from './object-numbers.js'
import { Tally, type UsageTally, VisitMemory } from './tree-usage.js'

/** What a repository holds, and what it takes. */
export type RepositoryStats = {
  /** Distinct applications that tags, their logs and mounts keep. */
  readonly trees: number
  /** All that those trees refer to, each reference counted. */
  readonly logicalBytes: bigint
  /** What they lead to. */
  readonly reachable: UsageTally
  /** What nothing leads to, but is there. */
  readonly garbage: UsageTally
  /** All that is there, by type. */
  readonly types: Readonly<Record<ObjectType, UsageTally>>
  readonly packs: {
    readonly count: number
    /** Of their files. */
    readonly bytes: number
    /** Objects that are stored compressed. */
    readonly compressedObjects: number
  }
  /** Bytes of all files of the repository, as the filesystem counts them. */
  readonly diskBytes: number
  /** The largest files that a tree leads to. */
  readonly largest: readonly LargeFile[]
}

/** A large file that a tree holds. */
type LargeFile = {
  readonly digest: Digest
  readonly size: number
  readonly storedBytes: number | undefined
}

export type StatsOptions = {
  /** How many of the largest files to name; 10 by default. */
  readonly largest?: number
  readonly onProgress?: (progress: { objects: number; bytes: number }) => void
  readonly signal?: AbortSignal
}

/**
 * Counts what a repository holds. Memory is some bytes an object in packs, some hundred
 * for a loose one. Throws what reading tags, logs and objects throws.
 */
export async function repositoryStats(
  repository: Repository,
  options: StatsOptions = {},
): Promise<RepositoryStats> {
  using numbers = numberObjects(repository)
  const reader = new CheckReader(repository.objects)
  const roots = await distinctRoots(repository)
  const visits = new NumberTable(numbers.limit)
  const largest = new LargestFiles(options.largest ?? 10)
  const memory = new VisitMemory(visits, numbers, 1)
  const reachable = await tallyReachable({ reader, numbers }, roots, {
    memory,
    largest,
    options,
  })
  const stored = await tallyStored(repository, numbers, visits)
  return {
    trees: roots.length,
    logicalBytes: roots.reduce(
      (sum, { size, subObjectsSize }) => sum + BigInt(size) + subObjectsSize,
      0n,
    ),
    reachable,
    garbage: stored.garbage,
    types: stored.types,
    packs: {
      count: numbers.packs.length,
      bytes: numbers.packs.reduce((sum, { bytes }) => sum + bytes, 0),
      compressedObjects: stored.compressedObjects,
    },
    diskBytes: diskBytes(repository.root),
    largest: largest.list().map(({ digest, size }) => {
      return { digest, size, storedBytes: numbers.of(digest).storedBytes }
    }),
  }
}

/** Applications that are kept, each once; those that logs name may be gone. */
async function distinctRoots(repository: Repository): Promise<Descriptor[]> {
  const roots = new Map<Digest, Descriptor>()
  const { describeObject } = await import('../describe-object.js')
  for await (const root of repository.roots()) {
    const digest = root.kind === 'mount' ? root.digest : root.descriptor.digest
    if (roots.has(digest)) continue
    const [info] = await repository.objects.stat([digest])
    if (info === undefined && root.kind === 'log') continue
    const descriptor =
      root.kind === 'mount'
        ? await describeObject(repository.objects, digest)
        : root.descriptor
    roots.set(digest, descriptor)
  }
  return [...roots.values()]
}

async function tallyReachable(
  { reader, numbers }: { reader: ObjectReader; numbers: ObjectNumbers },
  roots: readonly Descriptor[],
  {
    memory,
    largest,
    options: { onProgress, signal },
  }: { memory: VisitMemory; largest: LargestFiles; options: StatsOptions },
): Promise<UsageTally> {
  const tally = new Tally()
  const watched = signal === undefined ? {} : { signal }
  for await (const batch of walkClosure(reader, roots, { memory, ...watched })) {
    for (const one of batch) {
      tally.add(one.size, numbers.of(one.digest))
      largest.add(one)
    }
    onProgress?.(tally.tally)
  }
  return tally.tally
}

async function tallyStored(
  { objects, config }: Repository,
  numbers: ObjectNumbers,
  visits: NumberTable,
): Promise<Pick<RepositoryStats, 'garbage' | 'types'> & { compressedObjects: number }> {
  const garbage = new Tally()
  const types = {
    file: new Tally(),
    directory: new Tally(),
    header: new Tally(),
    application: new Tally(),
  }
  let compressedObjects = 0
  const add = (
    digest: Digest,
    { type, size }: { type: ObjectType; size: number },
    storedBytes: number | undefined,
  ): void => {
    types[type].add(size, { storedBytes })
    if (visits.get(numbers.of(digest).number) === 0) garbage.add(size, { storedBytes })
  }
  if (config.layout === 'pack') {
    for (const { digest, info, storedBytes, isCoded } of numbers.inPacks()) {
      add(digest, info, storedBytes)
      if (isCoded) compressedObjects += 1
    }
  } else {
    for await (const digests of objects.list()) {
      for (const [index, info] of (await objects.stat(digests)).entries()) {
        const digest = digests[index]
        if (digest !== undefined && info !== undefined) add(digest, info, undefined)
      }
    }
  }
  return {
    garbage: garbage.tally,
    types: {
      file: types.file.tally,
      directory: types.directory.tally,
      header: types.header.tally,
      application: types.application.tally,
    },
    compressedObjects,
  }
}

function diskBytes(root: string): number {
  let bytes = 0
  const folders = [root]
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) folders.push(path)
      // Removed since it was listed, as a file of a session is.
      else bytes += (lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512
    }
  }
  return bytes
}
