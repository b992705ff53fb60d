import { serveJobs } from '../../system/thread/serve-jobs.js'
import {
  openScanner,
  type ScanPlace,
  type ScanResult,
  type ScanUnit,
} from './scan-unit.js'

// A thread that scans units of one repository.
serveJobs<ScanUnit, ScanResult, ScanPlace>(async place => {
  const scanner = await openScanner(place)
  return {
    answer: async unit => scanner.scan(unit),
    end: () => scanner[Symbol.dispose](),
  }
})
