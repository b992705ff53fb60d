import { readFileSync, writeFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

// Loaded into a program in front of its own code (node --import): writes the most memory
// that the process had, in bytes, into the file that PEAK_FILE names. What the system tells
// a parent of its child (maxRSS) counts the parent's memory at the fork, too.

const path = process.env['PEAK_FILE']
if (isMainThread && path !== undefined) {
  process.on('exit', () => {
    const status = readFileSync('/proc/self/status', 'latin1')
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]
    writeFileSync(path, String(1024 * Number(kibibytes)))
  })
}
