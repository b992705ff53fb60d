import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  DestinationRefusedError,
  InvalidArchiveError,
  LimitExceededError,
} from '../../../lib/errors.js'
import { unpackLayer } from '../../../lib/tree/changes/unpack-layer.js'
import { removeTree } from '../../../lib/tree/checkout/remove-tree.js'
import { mutateArchive, seedMembers } from '../../support/archive-mutation.js'
import { deepFolder } from '../../support/deep-folder.js'
import { isRoot } from '../../support/hard-tree.js'
import { importBytes } from '../../support/imported-archive.js'
import { pieces } from '../../support/raw-archive.js'
import { seededRandom } from '../../support/seeded-random.js'

const isLong = process.env['CAIRN_TEST_LONG'] === '1'
const archives = isLong ? 100_000 : 1500
const seed = Number(process.env['CAIRN_TEST_SEED'] ?? 20_261_122)
const skip = isRoot ? false : 'needs root to give files their owners'
const megabyte = 1024 ** 2

t.comment(`${archives} archives, seed ${seed}`)

t.test('imports or refuses any archive, in bounded memory', async t => {
  const random = seededRandom(seed)
  const seeds = seedMembers('/outside')
  const counts = { taken: 0, refused: 0 }
  const before = process.memoryUsage().rss
  for (let count = 0; count < archives; count++) {
    const bytes = mutateArchive(seeds, random)
    try {
      await importBytes(bytes, { maxBytes: megabyte, maxEntries: 5000 })
      counts.taken++
    } catch (error) {
      if (!isRefusal(error)) {
        t.fail(`archive ${count}: ${String(error)}`, {
          archive: bytes.toString('base64'),
        })
        return
      }
      counts.refused++
    }
  }
  t.ok(counts.taken > archives / 10, `${counts.taken} were taken`)
  t.ok(counts.refused > archives / 10, `${counts.refused} were refused`)
  const grown = process.memoryUsage().rss - before
  t.ok(grown < 400 * megabyte, `memory grew by ${Math.round(grown / megabyte)} MiB`)
})

t.test(
  'unpacks or refuses any archive, and never leaves the folder',
  { skip },
  async t => {
    const random = seededRandom(seed + 1)
    const folder = deepFolder(t, 'memory')
    const outside = join(folder, 'outside')
    const target = join(folder, 'target')
    mkdirSync(outside)
    writeFileSync(join(outside, 'secret'), 'secret', { mode: 0o640 })
    const seeds = seedMembers(outside)
    const expected = stateOf(folder)
    const counts = { taken: 0, refused: 0 }
    for (let count = 0; count < archives; count++) {
      const bytes = mutateArchive(seeds, random)
      const kind = random() < 0.5 ? 'apply' : 'overlay'
      mkdirSync(target)
      try {
        const limits = { maxBytes: megabyte, maxEntries: 5000 }
        await unpackLayer(pieces(bytes), target, { ...limits, marks: { kind } })
        counts.taken++
      } catch (error) {
        if (!isRefusal(error) && !(error instanceof DestinationRefusedError)) {
          t.fail(`archive ${count}: ${String(error)}`, {
            archive: bytes.toString('base64'),
          })
          return
        }
        counts.refused++
      }
      removeTree(target)
      const found = stateOf(folder)
      if (found !== expected) {
        t.equal(
          found,
          expected,
          `archive ${count} changed something outside: ${bytes.toString('base64')}`,
        )
        return
      }
    }
    t.ok(counts.taken > archives / 10, `${counts.taken} were taken`)
    t.ok(counts.refused > archives / 10, `${counts.refused} were refused`)
  },
)

function isRefusal(error: unknown): boolean {
  return error instanceof InvalidArchiveError || error instanceof LimitExceededError
}

// What an archive could reach, but for the folder that it is unpacked into.
function stateOf(folder: string): string {
  const outside = join(folder, 'outside')
  const secret = join(outside, 'secret')
  const facts = [outside, secret].map(path => {
    const { mode, uid, gid, nlink, ino, mtimeMs, ctimeMs } = lstatSync(path)
    return [mode, uid, gid, nlink, ino, mtimeMs, ctimeMs].join(' ')
  })
  const names = [readdirSync(folder), readdirSync(outside)].flat()
  return [...facts, ...names, readFileSync(secret, 'utf8')].join('\n')
}
