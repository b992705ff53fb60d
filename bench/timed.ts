import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

// Runs a command of bash once and prints what it took, as JSON: timed.js SCRIPT RECORD.
// A program of its own, so that it can be run under a lock that is not timed.

const [script = '', record = ''] = process.argv.slice(2)
spawnSync('sync')
const began = process.hrtime.bigint()
const run = spawnSync('time', ['-o', record, '-f', '%U %S %M', 'bash', '-c', script], {
  stdio: ['ignore', 'ignore', 'pipe'],
})
const wall = Number(process.hrtime.bigint() - began) / 1e9
if (run.error !== undefined) throw run.error
// When the command fails, time says so in a line of its own before.
const numbers = readFileSync(record, 'utf8').trimEnd().split('\n').at(-1)?.split(' ')
const [user = 0, system = 0, kibibytes = 0] = numbers?.map(Number) ?? []
process.stdout.write(
  JSON.stringify({
    code: run.status,
    said: run.stderr.toString().slice(-2000),
    wall,
    cpu: user + system,
    memory: kibibytes * 1024,
  }),
)
