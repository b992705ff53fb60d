import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { cairn, cairnJson } from '../support/run-cairn.js'
import { rudeText, storeFolder } from '../support/stored-folder.js'

t.test('cat prints the bytes of a file, by its escaped name too', async t => {
  const { repo } = await storeFolder(t)
  t.equal((await cairn(['cat', 'app:run'], { repo })).stdout, '#!/bin/sh\n')
  t.equal((await cairn(['cat', `app:${rudeText}`], { repo })).stdout, 'rude')
  const document = await cairnJson(['cat', 'app:etc/name'], { repo })
  t.match(document, { path: 'etc/name', size: 5, encoding: 'base64' })
  t.equal(Buffer.from(String(document['content']), 'base64').toString(), 'host\n')
})

t.test('cat gives large contents whole, as bytes and as JSON', async t => {
  const { repo, source } = await storeFolder(t)
  const bytes = Buffer.alloc(3_000_001, 'cairn')
  writeFileSync(join(source, 'large'), bytes)
  await cairn(['store', source, '-t', 'large'], { repo })
  t.ok((await cairn(['cat', 'large:large'], { repo })).bytes.equals(bytes))
  const document = await cairnJson(['cat', 'large:large'], { repo })
  t.ok(Buffer.from(String(document['content']), 'base64').equals(bytes))
})

t.test('cat refuses what is no file', async t => {
  const { repo } = await storeFolder(t)
  for (const [ref, code, message] of [
    ['app:etc', 5, /etc is no regular file: it is a directory/],
    ['app:', 5, /\/ is no regular file/],
    ['app:link', 5, /it is a symlink/],
    ['app:none', 3, /no entry "none"/],
    ['app:run/below', 3, /run is no folder/],
    ['none:run', 3, /no tag and no object "none"/],
  ] as const) {
    const run = await cairn(['cat', ref], { repo })
    t.equal(run.code, code, ref)
    t.equal(run.stdout, '')
    t.match(run.stderr, message)
  }
})
