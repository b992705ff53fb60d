import { parentPort, workerData } from 'node:worker_threads'
import { FileMaker } from '../../system/file-maker.js'
import { type BatchOrder, takeBatch } from './batch-order.js'
import { BatchWriter, type WriterOptions } from './batch-writer.js'

// The thread that BatchCrew starts: answers each batch with what could not be made, and
// ends when it is told to.
const maker = FileMaker.find()
if (maker === undefined || parentPort === null) throw new Error('no thread of a checkout')
const port = parentPort
const writer = new BatchWriter(maker, workerData as WriterOptions)
port.on('message', (order: BatchOrder | 'end') => {
  if (order === 'end') port.close()
  else port.postMessage(takeBatch(order) ? writer.write(order.batch) : [])
})
