import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { cairn, cairnJson, startCairn, startServer } from '../support/run-cairn.js'
import { storeFolder } from '../support/stored-folder.js'

t.test('remotes are added, listed and removed', async t => {
  const { repo } = await storeFolder(t)
  const url = 'http://127.0.0.1:1/app'
  t.same(await cairnJson(['remote', 'add', 'origin', url], { repo }), {
    name: 'origin',
    url,
  })
  t.equal((await cairn(['remote', 'list'], { repo })).stdout, `origin  ${url}\n`)
  t.same(await cairnJson(['remote', 'list'], { repo }), {
    remotes: [{ name: 'origin', url }],
  })
  t.equal((await cairn(['remote', 'add', 'origin', url], { repo })).code, 4)
  t.equal((await cairn(['remote', 'add', 'two', 'ftp://x'], { repo })).code, 2)
  t.same(await cairnJson(['remote', 'remove', 'origin'], { repo }), { name: 'origin' })
  const gone = await cairn(['push', 'origin', 'app'], { repo })
  t.equal(gone.code, 3)
  t.match(gone.stderr, /no remote origin \(see the remotes with: cairn remote list\)/)
})

t.test('push and pull carry a tag between repositories', async t => {
  const { repo, folder, digest } = await storeFolder(t)
  const served = join(folder, 'served')
  mkdirSync(served)
  await using server = await startServer(['--root', served, '--create'])
  const url = `${server.url}/team/app`
  await cairn(['remote', 'add', 'origin', url], { repo })

  const pushed = await cairnJson(['push', 'origin', 'app', '--as', 'theirs'], { repo })
  t.match(pushed, { url, tag: 'theirs', digest, upToDate: false })
  t.ok(existsSync(join(served, 'team/app/refs/tags/theirs')))
  t.match(await cairnJson(['remote', 'tags', url]), {
    url,
    tags: [{ name: 'theirs', digest }],
  })

  const third = join(folder, 'third')
  await cairn(['init'], { repo: third })
  const pulled = await cairn(['pull', url, 'theirs', '--as', 'mine'], { repo: third })
  t.equal(pulled.code, 0, pulled.stderr)
  t.equal(pulled.stdout, '')
  t.match(
    pulled.stderr,
    new RegExp(
      `^pulling theirs …\npulling theirs: \\d+ references.*\n.*mine names ${digest}\n$`,
    ),
  )
  const spoken = () => server.log().match(/\/v2\/pull/g)?.length ?? 0
  const before = spoken()
  t.ok(before > 0, 'the best protocol is spoken')
  const fourth = join(folder, 'fourth')
  await cairn(['init'], { repo: fourth })
  const plain = await cairn(['pull', url, 'theirs', '--protocol', '1'], { repo: fourth })
  t.equal(plain.code, 0, plain.stderr)
  t.equal(spoken(), before, 'unless another is asked for')
  const again = await cairnJson(['pull', url, 'theirs', '--as', 'mine'], { repo: third })
  t.match(again, { upToDate: true, transferred: { objects: 0, bytes: 0 } })
  t.equal((await cairn(['cat', 'mine:run'], { repo: third })).stdout, '#!/bin/sh\n')

  const missing = await cairn(['pull', url, 'none'], { repo: third })
  t.equal(missing.code, 3)
  const nowhere = await cairn(['pull', `${server.url}/none`, 'app'], { repo: third })
  t.not(nowhere.code, 0)
  t.match(nowhere.stderr, /^pulling app …\ncairn: [^\n]*\n$/)
})

t.test('a push that fails leaves no repository behind that it had made', async t => {
  const { repo, folder } = await storeFolder(t)
  const served = join(folder, 'served')
  mkdirSync(served)
  await using server = await startServer(['--root', served, '--create'])
  const url = `${server.url}/team/app`
  rmSync(join(repo, 'objects'), { recursive: true })
  mkdirSync(join(repo, 'objects'))
  const failed = await cairn(['push', url, 'app'], { repo })
  t.not(failed.code, 0)
  // The client hears of the failure while the server is still at it.
  await server.stop()
  t.same(readdirSync(served), [])
})

t.test('a read-only server refuses a push', async t => {
  const { repo } = await storeFolder(t)
  await using server = await startServer(['--read-only'], { repo })
  const run = await cairn(['push', server.url, 'app', '--as', 'new'], { repo })
  t.equal(run.code, 7)
  t.match(run.stderr, /read-only/)
  t.match((await cairnJson(['tag', 'list'], { repo }))['tags'], [{ name: 'app' }])
})

t.test('serve tells its address in one line and ends gracefully', async t => {
  const { repo } = await storeFolder(t)
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const server = await startServer([], { repo })
    t.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/)
    t.equal((await cairn(['remote', 'tags', server.url])).code, 0)
    t.equal(await server.stop(signal), 0)
    const [line = ''] = server.log().split('\n')
    t.match(JSON.parse(line), { level: 'info', status: 200, service: 'list-tags' })
  }
})

t.test('serve tells when it refuses pushes where it listens', async t => {
  const { repo } = await storeFolder(t)
  for (const [address, refuses] of [
    ['127.0.0.1:0', false],
    ['0.0.0.0:0', true],
  ] as const) {
    const child = startCairn(['serve', '--listen', address], { repo })
    let remarks = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      remarks += chunk.toString()
    })
    const closed = once(child, 'close')
    child.stdout?.once('data', () => child.kill('SIGTERM'))
    t.same(await closed, [0, null])
    t.equal(/^pushes are refused .*--allow-anonymous-push/.test(remarks), refuses)
  }
})

t.test('serve says what keeps it from serving', async t => {
  const { repo } = await storeFolder(t)
  await using server = await startServer([], { repo })
  const taken = await cairn(['serve', '--listen', server.url.slice('http://'.length)], {
    repo,
  })
  t.equal(taken.code, 4)
  t.match(taken.stderr, /^cairn: .*EADDRINUSE.*\n$/)
  t.equal((await cairn(['serve', '--root', '/nonexistent'])).code, 3)
  const both = await cairn(['serve', '--root', '/', '--repo', repo])
  t.equal(both.code, 2)
  t.match(both.stderr, /at most one of --repo, .* and --root/)
})

t.test('a dead remote is an error of the network', async t => {
  const run = await cairn(['remote', 'tags', 'http://127.0.0.1:1/'])
  t.equal(run.code, 7)
  t.match(run.stderr, /ECONNREFUSED/)
  const home = t.testdir()
  await cairn(['remote', 'tags', 'http://127.0.0.1:1/'], { home })
  t.notOk(existsSync(join(home, '.local')), 'a URL needs no repository here')
})
