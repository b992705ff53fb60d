import { readFileSync } from 'node:fs'
import { relative } from 'node:path'

// Reads the JSON summary that `npm run coverage` wrote, and fails below these percentages
// of lines: the bar of docs, rooms that move other people's data higher.
const rooms: readonly (readonly [folder: string, least: number])[] = [
  ['lib/object/', 95],
  ['lib/remote/', 95],
  ['lib/repository/', 95],
  ['lib/', 90],
  ['server/', 90],
  ['cli/', 90],
]

type Summary = Record<string, { lines: { total: number; covered: number } }>

const summary = JSON.parse(
  readFileSync('.tap/report/coverage-summary.json', 'utf8'),
) as Summary
const sums = new Map(rooms.map(([folder]) => [folder, { total: 0, covered: 0 }]))
for (const [file, { lines }] of Object.entries(summary)) {
  const place = relative(process.cwd(), file)
  const room = rooms.find(([folder]) => place.replace(/^dist\//, '').startsWith(folder))
  const sum = room === undefined ? undefined : sums.get(room[0])
  if (sum !== undefined) {
    sum.total += lines.total
    sum.covered += lines.covered
  }
}
for (const [folder, least] of rooms) {
  const { total, covered } = sums.get(folder) ?? { total: 0, covered: 0 }
  const percent = total === 0 ? 0 : (100 * covered) / total
  const verdict = percent >= least ? 'ok' : 'too low'
  process.stdout.write(
    `${folder.padEnd(16)} ${percent.toFixed(1)} % of ${total} lines, at least ${least}: ${verdict}\n`,
  )
  if (percent < least) process.exitCode = 1
}
