import { parentPort } from 'node:worker_threads'
import { removeTree } from '../../tree/checkout/remove-tree.js'
import type { Usage } from '../snapshot.js'
import { copyTree } from './copy-tree.js'
import { measureUsage } from './disk-usage.js'
import type { LayerAnswer, LayerJob, LayerTask } from './layer-job.js'

parentPort?.on('message', ({ id, job, cancelled }: LayerTask) => {
  const flag = new Int32Array(cancelled)
  const checkpoint = (): void => {
    if (Atomics.load(flag, 0) !== 0) throw new Error('cancelled')
  }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port of a thread has none
  parentPort?.postMessage(answer(id, () => run(job, checkpoint)))
})

function run(job: LayerJob, checkpoint: () => void): Usage | undefined {
  checkpoint()
  switch (job.kind) {
    case 'usage':
      return measureUsage(job.folder, checkpoint)
    case 'copy':
      copyTree(job, checkpoint)
      return undefined
    case 'remove':
      removeTree(job.path)
      return undefined
    default:
      return job satisfies never
  }
}

function answer(id: number, action: () => Usage | undefined): LayerAnswer {
  try {
    return { id, usage: action() }
  } catch (error) {
    // What is thrown loses its code on the way through a message.
    const code =
      error instanceof Error && 'code' in error ? String(error.code) : undefined
    return { id, error, code }
  }
}
