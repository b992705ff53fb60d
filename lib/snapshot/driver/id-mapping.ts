import { InvalidArgumentError } from '../../errors.js'
import type { Labels } from '../snapshot.js'

const uidLabel = 'containerd.io/snapshot/uidmapping'
const gidLabel = 'containerd.io/snapshot/gidmapping'

/** How ids inside a user namespace stand for ids of this system. */
export type IdMapping = {
  /** Options that ask for an id-mapped mount. */
  readonly options: readonly string[]
  /** Who is root inside. */
  readonly uid: number
  readonly gid: number
}

/**
 * Finds the mapping that labels ask for: `CONTAINER:HOST:SIZE` of uids and of gids.
 *
 * Throws InvalidArgumentError for one that is none, or that leaves root out.
 */
export function findIdMapping(labels: Labels): IdMapping | undefined {
  const [uids, gids] = [labels.get(uidLabel), labels.get(gidLabel)]
  if (uids === undefined && gids === undefined) return undefined
  return {
    options: [`uidmap=${uids ?? ''}`, `gidmap=${gids ?? ''}`],
    uid: hostRoot(uids, uidLabel),
    gid: hostRoot(gids, gidLabel),
  }
}

function hostRoot(mapping: string | undefined, label: string): number {
  const [, inside, outside, size] = /^(\d+):(\d+):(\d+)$/.exec(mapping ?? '') ?? []
  const last = Number(outside) + Number(size) - 1
  if (inside === '0' && Number(size) > 0 && last < 0xffff_ffff) return Number(outside)
  throw new InvalidArgumentError(
    `invalid label ${label}: expected 0:HOST:SIZE, found ${JSON.stringify(mapping ?? '')}`,
    { label, found: mapping },
  )
}
