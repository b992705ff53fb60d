import t from 'tap'
import { cairn, cairnJson } from '../support/run-cairn.js'
import { storeFolder } from '../support/stored-folder.js'

t.test('stats counts, and names the largest files by a path', async t => {
  const { repo } = await storeFolder(t)
  const document = await cairnJson(['stats', '--largest', '2'], { repo })
  t.match(document, {
    layout: 'loose',
    trees: 1,
    reachable: { objects: 10 },
    garbage: { objects: 0 },
    types: { file: { objects: 3 }, application: { objects: 1 } },
    dedupRatio: Number,
    compressionRatio: Number,
    largest: [
      { size: 10, path: 'app:run' },
      { size: 5, path: 'app:etc/name' },
    ],
  })
  const text = await cairn(['stats'], { repo })
  t.match(text.stdout, /^loose, compression none, blake3; on disk /)
  t.match(text.stdout, /\nfile +3 +/)
  t.match(text.stdout, /largest files:\n +10 B +app:run\n/)
  t.equal((await cairn(['stats', '--largest', 'many'], { repo })).code, 2)
})

t.test('du tells of each REF what it needs alone', async t => {
  const { repo, digest, source } = await storeFolder(t)
  await cairn(['store', `${source}/etc`, '-t', 'etc'], { repo })
  const all = await cairnJson(['du'], { repo })
  t.match(all, { trees: [{ ref: 'app', digest }, { ref: 'etc' }] })
  const one = await cairnJson(['du', digest.slice(0, 12)], { repo })
  t.match(one, { trees: [{ digest, shared: { objects: 4 } }] })
  const text = await cairn(['du', 'app', 'etc'], { repo })
  t.match(text.stdout, /^ref +tree +alone +shared\napp .*\netc .*\ntogether /)
  t.equal((await cairn(['du', 'none'], { repo })).code, 3)
})
