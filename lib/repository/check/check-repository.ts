import { CairnError, ObjectNotFoundError } from '../../errors.js'
import type { Descriptor } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import type { ObjectStore } from '../../store/object-store.js'
import { describeObject } from '../describe-object.js'
import type { MountSet } from '../mount-set.js'
import type { RepositoryPaths } from '../repository-paths.js'
import { resolveRef } from '../resolve-ref.js'
import { rootsOfLog } from '../roots.js'
import type { SessionRegistry } from '../session-registry.js'
import type { TagStore } from '../tag-store.js'
import { checkKinds, checkLeftovers, checkReferences } from './check-files.js'
import { type Finding, findingOf } from './finding.js'
import { ObjectCheck, type ObjectCheckOptions } from './object-check.js'

/** What to check. */
export type CheckOptions = ObjectCheckOptions & {
  /** Only what these references lead to; all roots, and the repository's files, without. */
  readonly refs?: readonly string[]
  /** `reachable`, the default, or also `all` that nothing refers to. */
  readonly objects?: 'reachable' | 'all'
}

/** The rooms of a repository that a check looks into. */
export type CheckedRooms = {
  readonly paths: RepositoryPaths
  readonly objects: ObjectStore
  readonly tags: TagStore
  readonly mounts: MountSet
  readonly sessions: SessionRegistry
}

/**
 * Checks a repository and yields what is wrong, as it is found; nothing is changed.
 *
 * A bad object does not end it. Takes no lock: what is added meanwhile may or may not be
 * checked. Throws what resolveRef throws for a reference that names nothing.
 */
export async function* checkRepository(
  rooms: CheckedRooms,
  { refs, objects: extent = 'reachable', ...options }: CheckOptions,
): AsyncGenerator<Finding, void> {
  const check = new ObjectCheck(rooms.objects, options)
  if (refs === undefined) {
    yield* checkKinds(rooms.paths)
    yield* checkReferences(rooms.paths, rooms.tags)
    yield* checkRoots(rooms, check)
  } else {
    for (const ref of refs) yield* checkRef(rooms, check, ref)
  }
  if (extent === 'all') yield* check.everyObject()
  if (refs === undefined) yield* checkLeftovers(rooms.paths, rooms.sessions)
}

async function* checkRef(
  rooms: CheckedRooms,
  check: ObjectCheck,
  ref: string,
): AsyncGenerator<Finding, void> {
  const { digest, tag } = await resolveRef(ref, rooms)
  const tagged = tag === undefined ? undefined : await rooms.tags.find(tag)
  if (tagged?.digest === digest) yield* check.closure([tagged])
  else yield* checkDigest(rooms, check, digest)
}

async function* checkRoots(
  rooms: CheckedRooms,
  check: ObjectCheck,
): AsyncGenerator<Finding, void> {
  const kept = new Map<Digest, Descriptor>()
  const past = new Map<Digest, Descriptor>()
  for await (const { descriptor, kind } of readableRoots(rooms.tags)) {
    ;(kind === 'tag' ? kept : past).set(descriptor.digest, descriptor)
  }
  const roots = [...kept.values(), ...past.values()]
  // A value that another program put away may have gone with it.
  yield* check.closure(roots, digest => !kept.has(digest))
  for (const digest of await rooms.mounts.list()) yield* checkDigest(rooms, check, digest)
}

type ReadableRoot = { readonly kind: 'tag' | 'log'; readonly descriptor: Descriptor }

/** Roots as far as they can be read: what cannot was reported as a file. */
async function* readableRoots(tags: TagStore): AsyncGenerator<ReadableRoot, void> {
  for (const { descriptor } of await tags.list()) yield { kind: 'tag', descriptor }
  for (const name of await tags.listLogs()) {
    try {
      for (const { descriptor } of rootsOfLog(name, await tags.history(name))) {
        yield { kind: 'log', descriptor }
      }
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
    }
  }
}

async function* checkDigest(
  { objects }: CheckedRooms,
  check: ObjectCheck,
  digest: Digest,
): AsyncGenerator<Finding, void> {
  let descriptor: Descriptor
  try {
    descriptor = await describeObject(objects, digest)
  } catch (error) {
    if (!(error instanceof CairnError)) throw error
    const isMissing = error instanceof ObjectNotFoundError
    const kind = isMissing ? 'missing-object' : 'corrupt-object'
    yield findingOf(error, { severity: 'error', kind, where: digest })
    return
  }
  yield* check.closure([descriptor])
}
