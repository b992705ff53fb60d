import { InvalidArgumentError } from '../../errors.js'
import type { OverlayFolders } from '../../tree/changes/folder-changes.js'
import type { Mount } from '../snapshot.js'

/** What a snapshot's one mount says of the folders that it is made of. */
export type LayerMount =
  /** A folder shown as it is. */
  | { readonly kind: 'folder'; readonly path: string }
  /** Folders on top of each other; without `hasUpper`, the topmost is in `upper`, too. */
  | ({
      readonly kind: 'overlay'
      readonly lowers: readonly string[]
      /** Those that say how the kernel is to put them together. */
      readonly options: readonly string[]
    } & OverlayFolders)

const own = ['upperdir=', 'workdir=', 'lowerdir='] as const

/** Reads the mounts of a snapshot; throws InvalidArgumentError for others than ours. */
export function readLayerMount(mounts: readonly Mount[]): LayerMount {
  const [mount] = mounts
  if (mounts.length === 1 && mount?.type === 'bind') {
    return { kind: 'folder', path: mount.source }
  }
  const layers = mount?.type === 'overlay' ? layersOf(mount) : []
  const [upper, ...lowers] = layers
  if (mounts.length !== 1 || mount === undefined || upper === undefined) {
    throw new InvalidArgumentError(
      `cannot read the files of a snapshot that is mounted by ${describe(mounts)}`,
    )
  }
  const options = mount.options.filter(
    option => !own.some(name => option.startsWith(name)) && !flags.has(option),
  )
  const namespace = options.includes('userxattr') ? 'user' : 'trusted'
  return { kind: 'overlay', upper, lowers, namespace, options }
}

const flags = new Set(['ro', 'rw'])

function layersOf({ options }: Mount): string[] {
  const find = (name: string): string[] =>
    options.filter(each => each.startsWith(name)).map(each => each.slice(name.length))
  return [
    ...find('upperdir='),
    ...find('lowerdir=').flatMap(folders => folders.split(':')),
  ]
}

function describe(mounts: readonly Mount[]): string {
  return mounts.map(({ type }) => JSON.stringify(type)).join(', ') || 'nothing'
}
