import { serveJobs } from '../../system/thread/serve-jobs.js'
import { removeTree } from '../../tree/checkout/remove-tree.js'
import type { Usage } from '../snapshot.js'
import { copyTree } from './copy-tree.js'
import { measureUsage } from './disk-usage.js'
import type { LayerJob } from './layer-job.js'

serveJobs<LayerJob, Usage | undefined>(() => ({ answer }))

function answer(job: LayerJob, checkpoint: () => void): Usage | undefined {
  switch (job.kind) {
    case 'usage':
      return measureUsage(job.folder, checkpoint)
    case 'copy':
      copyTree(job, checkpoint)
      return undefined
    case 'remove':
      removeTree(job.path, checkpoint)
      return undefined
    default:
      return job satisfies never
  }
}
