import { parentPort, workerData } from 'node:worker_threads'
import { FileMaker } from '../../system/file-maker.js'
import { BatchWriter, type WriterOptions } from './batch-writer.js'
import type { FileBatch } from './file-batch.js'

// The thread that BatchCrew starts: answers each batch with what could not be made, and
// ends when it is told to.
const maker = FileMaker.find()
if (maker === undefined || parentPort === null) throw new Error('no thread of a checkout')
const port = parentPort
const writer = new BatchWriter(maker, workerData as WriterOptions)
port.on('message', (order: FileBatch | 'end') => {
  if (order === 'end') port.close()
  else port.postMessage(writer.write(order))
})
