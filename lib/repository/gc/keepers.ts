import { walkClosure } from '../../closure/closure-walk.js'
import type { Descriptor } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import type { ObjectReader } from '../../store/object-store.js'
import { CheckReader } from '../check/check-reader.js'
import { describeObject } from '../describe-object.js'
import { listRoots, type Root, type RootOptions, rootDigest } from '../roots.js'
import type { RootRooms } from './root-walk.js'

/**
 * Lists every root that keeps an object; a root whose application cannot be read keeps
 * what of it can be.
 */
export async function* keepersOf(
  rooms: RootRooms & { readonly objects: ObjectReader },
  target: Digest,
  options: RootOptions & { readonly signal?: AbortSignal } = {},
): AsyncGenerator<Root, void> {
  const reader = new CheckReader(rooms.objects)
  // What is known not to lead to the target, or not to be it.
  const elsewhere = new Set<Digest>()
  const answers = new Map<Digest, boolean>()
  for await (const root of listRoots(rooms.tags, rooms.mounts, options)) {
    const digest = rootDigest(root)
    let keeps = answers.get(digest)
    if (keeps === undefined) {
      keeps = await leadsTo(reader, { digest, target, elsewhere, signal: options.signal })
      answers.set(digest, keeps)
    }
    if (keeps) yield root
  }
}

async function leadsTo(
  reader: ObjectReader,
  search: {
    digest: Digest
    target: Digest
    elsewhere: Set<Digest>
    signal: AbortSignal | undefined
  },
): Promise<boolean> {
  const { digest, target, elsewhere, signal } = search
  if (digest === target) return true
  const [info] = await reader.stat([digest])
  if (info === undefined) return false
  const root: Descriptor = await describeObject(reader, digest)
  const met: Digest[] = []
  const walk = walkClosure(reader, [root], {
    prune: one => elsewhere.has(one.digest),
    onProblem: () => undefined,
    ...(signal === undefined ? {} : { signal }),
  })
  for await (const batch of walk) {
    for (const one of batch) {
      if (one.digest === target) return true
      met.push(one.digest)
    }
  }
  for (const one of met) elsewhere.add(one)
  return false
}
