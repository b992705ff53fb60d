import { parentPort, workerData } from 'node:worker_threads'
import { openScanner, type ScanPlace, type ScanUnit } from './scan-unit.js'

/*
 * A thread that scans units: each message is a unit, each answer what came of it; it ends
 * when it is told to.
 */

const scanner = await openScanner(workerData as ScanPlace)
let work = Promise.resolve()
parentPort?.on('message', (unit: ScanUnit | 'end') => {
  if (unit === 'end') void work.then(end)
  else work = answer(unit)
})

async function answer(unit: ScanUnit): Promise<void> {
  try {
    parentPort?.postMessage({ kind: 'result', result: await scanner.scan(unit) })
  } catch (error) {
    // A message keeps of an error only what every error has.
    parentPort?.postMessage({ kind: 'failure', error, more: { ...Object(error) } })
  }
}

function end(): void {
  scanner[Symbol.dispose]()
  parentPort?.close()
}
