import type { AlgorithmName } from '../../../object/algorithm.js'
import { findAlgorithmByName } from '../../../object/algorithm.js'
import type { Digest } from '../../../object/digest.js'
import { serveJobs } from '../../../system/thread/serve-jobs.js'
import { BatchReader } from './batch-reader.js'
import { FileBatch, type SharedBatch } from './file-batch.js'

// A thread that reads and hashes the files of a tree that is being stored.
serveJobs<SharedBatch, (Digest | undefined)[], AlgorithmName>(name => {
  const algorithm = findAlgorithmByName(name)
  const reader = algorithm && BatchReader.find(algorithm)
  if (reader === undefined) throw new Error(`no thread can read files for ${name}`)
  return { answer: shared => reader.read(new FileBatch(shared)) }
})
