import type { Usage } from '../snapshot.js'
import type { CopyRequest } from './copy-tree.js'

/** Work on the files of layers that would hold up everything else. */
export type LayerJob =
  | { readonly kind: 'usage'; readonly folder: string }
  | ({ readonly kind: 'copy' } & CopyRequest)
  | { readonly kind: 'remove'; readonly path: string }

/** What the thread is told. */
export type LayerTask = {
  readonly id: number
  readonly job: LayerJob
  /** One number, which becomes 1 when the job is to end before its time. */
  readonly cancelled: SharedArrayBuffer
}

/** What the thread answers. */
export type LayerAnswer = { readonly id: number } & (
  | { readonly usage: Usage | undefined }
  | { readonly error: unknown; readonly code: string | undefined }
)
