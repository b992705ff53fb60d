import type { CopyRequest } from './copy-tree.js'

/** Work on the files of layers that would hold up everything else. */
export type LayerJob =
  | { readonly kind: 'usage'; readonly folder: string }
  | ({ readonly kind: 'copy' } & CopyRequest)
  | { readonly kind: 'remove'; readonly path: string }
