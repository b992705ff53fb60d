import { JobThread } from '../../system/thread/job-thread.js'
import type { Usage } from '../snapshot.js'
import type { LayerJob } from './layer-job.js'

/** A thread that works on the files of layers; only `usage` has an answer. */
export class LayerThread extends JobThread<LayerJob, Usage | undefined> {
  constructor() {
    super(new URL('./layer-worker.js', import.meta.url), undefined)
  }
}
