import { openRepository } from '../lib/repository/open.js'
import { digestOfFile } from '../test/support/many-objects.js'

// Asks a repository of many files for some that it has and some that it has not, and
// prints the seconds that it took: scale-lookup.js ROOT FILES LOOK-UPS.

const [root = '', files = '0', count = '0'] = process.argv.slice(2)
using repository = await openRepository(root)
const lookUps = Number(count)
const digests = Array.from({ length: lookUps }, (_, index) =>
  // Spread over twice the files that are there.
  digestOfFile(repository, Math.floor((index * 2 * Number(files)) / lookUps)),
)
const batch = 1000
let found = 0
const began = performance.now()
for (let from = 0; from < lookUps; from += batch) {
  found += (await repository.objects.has(digests.slice(from, from + batch))).count()
}
const seconds = (performance.now() - began) / 1000
if (found !== lookUps / 2) throw new Error(`found ${found} of ${lookUps / 2}`)
process.stdout.write(`${seconds}`)
