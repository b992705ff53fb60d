import { parentPort, workerData } from 'node:worker_threads'
import { openScanner, type ScanPlace, type ScanUnit } from './scan-unit.js'

/*
 * A thread that scans units: each message is a unit, each answer what came of it.
 */

const scanner = await openScanner(workerData as ScanPlace)
parentPort?.on('message', (unit: ScanUnit) => {
  void scanner.scan(unit).then(
    result => parentPort?.postMessage({ kind: 'result', result }),
    // A message keeps of an error only what every error has.
    (error: unknown) =>
      parentPort?.postMessage({ kind: 'failure', error, more: { ...Object(error) } }),
  )
})
