import type { GcReport } from '../../lib/repository/gc/gc-report.js'
import { openRepository } from '../../lib/repository/open.js'

/** What a child process is told to collect. */
export type CollectionOrder = {
  readonly root: string
  readonly grace?: number
  readonly window?: number
}

/** What it answers. */
export type CollectionAnswer =
  | {
      readonly kind: 'done'
      readonly report: Pick<
        GcReport,
        'garbage' | 'freedBytes' | 'waitingFor' | 'problems'
      >
    }
  | { readonly kind: 'failed'; readonly message: string }

// A process of its own: marking takes memory, and a fault in it must not end a server.

async function collect({ root, ...options }: CollectionOrder): Promise<CollectionAnswer> {
  try {
    using repository = await openRepository(root, { access: 'write' })
    const { garbage, freedBytes, waitingFor, problems } = await repository.gc(options)
    return { kind: 'done', report: { garbage, freedBytes, waitingFor, problems } }
  } catch (error) {
    return {
      kind: 'failed',
      message: error instanceof Error ? error.message : String(error),
    }
  }
}

process.once('message', (order: CollectionOrder) => {
  void collect(order).then(answer => process.send?.(answer, () => process.disconnect()))
})
