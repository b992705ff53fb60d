import type { Application } from '../../object/application.js'
import type { ApplicationConfig } from '../../object/application-config.js'

const contentKey = 'cairn.snapshot.content'
const referenceKey = 'cairn.snapshot.ref'

/** What an application that was saved from a snapshot holds. */
export type SavedContent = {
  /** A whole tree, or only what a layer changes, marked as in layers of OCI images. */
  readonly content: 'tree' | 'changes'
  /** The label `containerd.io/snapshot.ref` of the snapshot: what its files are. */
  readonly reference?: string | undefined
}

/** What is said of it in the application. */
export function configOfContent({
  content,
  reference,
}: SavedContent): ApplicationConfig | undefined {
  if (content === 'tree' && reference === undefined) return undefined
  return {
    annotations: {
      ...(content === 'changes' && { [contentKey]: content }),
      ...(reference !== undefined && { [referenceKey]: reference }),
    },
  }
}

/** Reads it; an application of any other origin is a whole tree. */
export function contentOf({ extension }: Application): SavedContent {
  const annotations = extension?.config?.annotations ?? {}
  const reference = annotations[referenceKey]
  return {
    content: annotations[contentKey] === 'changes' ? 'changes' : 'tree',
    ...(reference !== undefined && { reference }),
  }
}
