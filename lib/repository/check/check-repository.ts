import { CairnError, ObjectNotFoundError } from '../../errors.js'
import type { Descriptor } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import type { ObjectReader } from '../../store/object-store.js'
import { describeObject } from '../describe-object.js'
import type { MountSet } from '../mount-set.js'
import { newObjectMemory } from '../object-memory.js'
import { resolveRef } from '../resolve-ref.js'
import { rootsOfLog } from '../roots.js'
import type { SessionRegistry } from '../session-registry.js'
import type { TagStore } from '../tag-store.js'
import { checkKinds, checkLeftovers, checkReferences } from './check-files.js'
import { CheckReader } from './check-reader.js'
import { ClosureCheck } from './closure-check.js'
import { type Finding, findingOf } from './finding.js'
import { Inspector } from './inspector.js'
import { type ScannedRooms, type ScanOptions, scanObjects } from './scan-objects.js'

/** What to check. */
export type CheckOptions = Partial<ScanOptions> & {
  /** Only what these references lead to; all roots, and the repository's files, without. */
  readonly refs?: readonly string[]
  /** `reachable`, the default, or also `all` that nothing refers to. */
  readonly objects?: 'reachable' | 'all'
}

/** The rooms of a repository that a check looks into. */
export type CheckedRooms = ScannedRooms & {
  readonly tags: TagStore
  readonly mounts: MountSet
  readonly sessions: SessionRegistry
}

/**
 * Checks a repository and yields what is wrong, as it is found; nothing is changed.
 *
 * A bad object does not end it. Takes no lock: what is added meanwhile may or may not be
 * checked. Memory does not grow with the number of objects, but for references into a
 * repository of the loose layout, or what is reachable there. Throws what resolveRef throws for
 * a reference that names nothing.
 */
export async function* checkRepository(
  rooms: CheckedRooms,
  { refs, objects: extent = 'reachable', ...partial }: CheckOptions,
): AsyncGenerator<Finding, void> {
  const options = { depth: 'full', ...partial } as const
  if (refs !== undefined) {
    yield* checkRefs(rooms, refs, options)
    return
  }
  yield* checkKinds(rooms.paths)
  yield* checkReferences(rooms.paths, rooms.tags)
  const roots = await readRoots(rooms)
  if (extent === 'all') {
    yield* checkRootObjects(rooms, roots)
    yield* scanObjects(rooms, options)
  } else {
    const check = await closureCheck(rooms, options)
    yield* check.run([...roots.kept.values(), ...roots.past.values()], digest =>
      roots.past.has(digest),
    )
    for (const digest of roots.mounted) yield* checkDigest(rooms, check, digest)
  }
  yield* checkLeftovers(rooms.paths, rooms.sessions)
}

async function* checkRefs(
  rooms: CheckedRooms,
  refs: readonly string[],
  options: ScanOptions,
): AsyncGenerator<Finding, void> {
  const check = await closureCheck(rooms, options)
  for (const ref of refs) {
    const { digest, tag } = await resolveRef(ref, rooms)
    const tagged = tag === undefined ? undefined : await rooms.tags.find(tag)
    if (tagged?.digest === digest) yield* check.run([tagged])
    else yield* checkDigest(rooms, check, digest)
  }
}

async function closureCheck(
  rooms: CheckedRooms,
  options: ScanOptions,
): Promise<ClosureCheck> {
  return new ClosureCheck(rooms.objects, await newObjectMemory(rooms), options)
}

type ReadRoots = {
  /** What tags name. */
  readonly kept: ReadonlyMap<Digest, Descriptor>
  /** What only logs name. */
  readonly past: ReadonlyMap<Digest, Descriptor>
  readonly mounted: readonly Digest[]
}

/** Roots as far as they can be read: what cannot was reported as a file. */
async function readRoots({ tags, mounts }: CheckedRooms): Promise<ReadRoots> {
  const kept = new Map<Digest, Descriptor>()
  const past = new Map<Digest, Descriptor>()
  for (const { descriptor } of await tags.list()) kept.set(descriptor.digest, descriptor)
  for (const name of await tags.listLogs()) {
    try {
      for (const { descriptor } of rootsOfLog(name, await tags.history(name))) {
        const { digest } = descriptor
        if (!kept.has(digest)) past.set(digest, descriptor)
      }
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
    }
  }
  return { kept, past, mounted: await mounts.list() }
}

/** Whether roots are there as they are named; what they refer to is seen to elsewhere. */
async function* checkRootObjects(
  { objects }: CheckedRooms,
  { kept, past, mounted }: ReadRoots,
): AsyncGenerator<Finding, void> {
  const reader = new CheckReader(objects)
  const inspector = new Inspector(reader, { references: 'known' })
  for (const descriptor of kept.values()) {
    yield* checkRoot(reader, inspector, descriptor)
  }
  for (const descriptor of past.values()) {
    for await (const finding of checkRoot(reader, inspector, descriptor)) {
      // A value that another program put away may have gone with it.
      const isGone = finding.kind === 'missing-object'
      yield isGone ? { ...finding, severity: 'warning' } : finding
    }
  }
  for (const digest of mounted) {
    const [info] = await reader.stat([digest])
    if (info === undefined) yield missingRoot(digest)
  }
}

async function* checkRoot(
  reader: ObjectReader,
  inspector: Inspector,
  root: Descriptor,
): AsyncGenerator<Finding, void> {
  const { digest, type, size } = root
  const [info] = await reader.stat([digest])
  if (info === undefined) {
    yield { ...missingRoot(digest), missing: root }
    return
  }
  if (info.type !== type || info.size !== size) {
    const expected = `${type} of ${size} bytes`
    const found = `${info.type} of ${info.size} bytes`
    const message = `a root is not what its tag says: expected ${expected}, found ${found}`
    const kind = 'contradicted-object'
    yield { severity: 'error', kind, where: digest, message, expected, found }
    return
  }
  const finding = await inspector.checkTotals(root)
  if (finding !== undefined) yield finding
}

function missingRoot(digest: Digest): Finding {
  const message = `application ${digest} is missing: it is a root`
  return { severity: 'error', kind: 'missing-object', where: digest, message }
}

async function* checkDigest(
  { objects }: CheckedRooms,
  check: ClosureCheck,
  digest: Digest,
): AsyncGenerator<Finding, void> {
  let descriptor: Descriptor
  try {
    descriptor = await describeObject(new CheckReader(objects), digest)
  } catch (error) {
    if (!(error instanceof CairnError)) throw error
    const isMissing = error instanceof ObjectNotFoundError
    const kind = isMissing ? 'missing-object' : 'corrupt-object'
    yield findingOf(error, { severity: 'error', kind, where: digest })
    return
  }
  yield* check.run([descriptor])
}
