import { join } from 'node:path'

/** Where the parts of one repository are (format section 3, docs/format.md). */
export type RepositoryPaths = {
  readonly root: string
  readonly config: string
  readonly gate: string
  readonly objects: string
  readonly tags: string
  readonly mounts: string
  readonly tagLogs: string
  readonly remotes: string
  readonly protectedTags: string
  readonly temp: string
  readonly sessions: string
  /** What can be made anew at any time. */
  readonly cache: string
  readonly kept: string
}

export function repositoryPaths(root: string): RepositoryPaths {
  return {
    root,
    config: join(root, 'config'),
    gate: join(root, 'gate'),
    objects: join(root, 'objects'),
    tags: join(root, 'refs', 'tags'),
    mounts: join(root, 'refs', 'mounts'),
    tagLogs: join(root, 'logs', 'tags'),
    remotes: join(root, 'remotes.json'),
    protectedTags: join(root, 'protected-tags.json'),
    temp: join(root, 'temp'),
    sessions: join(root, 'sessions'),
    cache: join(root, 'cache'),
    kept: join(root, 'kept'),
  }
}
