import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { nodeCommand } from '../support/node-command.js'
import { cairn, cairnPath, startCairn } from '../support/run-cairn.js'
import { storeFolder } from '../support/stored-folder.js'

t.test('prints its version', async t => {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  const run = await cairn(['--version'])
  t.equal(run.stdout, `${manifest.version}\n`)
  t.equal(run.code, 0)
})

t.test('prints help with examples on standard output', async t => {
  for (const args of [['--help'], ['help', 'store'], ['tag', 'set', '--help']]) {
    const run = await cairn(args)
    t.equal(run.code, 0)
    t.equal(run.stderr, '')
    t.match(run.stdout, /Examples:\n {2}\$ cairn /)
  }
})

t.test('prints the help of the command that is named, however deep', async t => {
  t.match((await cairn(['help', 'tag', 'set'])).stdout, /^Usage: cairn tag set /)
  t.match((await cairn(['help'])).stdout, /^Usage: cairn \[options\]/)
})

t.test('has short forms for quiet and verbose', async t => {
  const { repo, source } = await storeFolder(t)
  t.equal((await cairn(['store', source, '-q'], { repo })).stderr, '')
  t.match((await cairn(['tag', 'list', '-v'], { repo })).stderr, /^repository .*loose/)
})

t.test('answers wrong usage with exit code 2 and one line', async t => {
  for (const [args, message] of [
    [['frobnicate'], /unknown command 'frobnicate'/],
    [['store'], /missing required argument 'path'/],
    [['store', '.', '--frobnicate'], /unknown option '--frobnicate'/],
    [['init', '--algorithm', 'md5'], /argument 'md5' is invalid/],
    [['push', 'origin', 'app', '--protocol', '7'], /argument '7' is invalid/],
    [['show', 'a', 'b'], /too many arguments/],
    [['cat', 'app'], /expected REF:PATH/],
    [['tag', 'restore', 'app'], /expected TAG@\{n\}/],
    [['serve', '--listen', 'here'], /expected HOST:PORT/],
    [['serve', '--create'], /--create needs --root/],
    [['store', ''], /the argument path is empty/],
    [['store', '.', '--config', ''], /the value of --config is empty/],
    [['tag', 'list', '--repo', ''], /the value of --repo is empty/],
    [['help', 'tag', 'sot'], /unknown command 'tag sot'/],
    [['help', 'frobnicate'], /unknown command 'frobnicate'/],
  ] as const) {
    const run = await cairn(args, { repo: '/nonexistent' })
    t.equal(run.code, 2, args.join(' '))
    t.equal(run.stdout, '')
    t.match(run.stderr, message)
    t.match(run.stderr, /^cairn: [^\n]*\n$/)
  }
})

t.test('prints the help on standard error when no command is given', async t => {
  const run = await cairn([])
  t.equal(run.code, 2)
  t.equal(run.stdout, '')
  t.match(run.stderr, /^Usage: cairn/)
})

t.test('reports errors as JSON with --json, wherever it stands', async t => {
  for (const args of [
    ['--json', 'show', 'app'],
    ['show', 'app', '--json'],
  ]) {
    const run = await cairn(args, { repo: '/nonexistent/repo' })
    t.equal(run.code, 3)
    t.equal(run.stdout, '')
    const { error } = JSON.parse(run.stderr) as { error: Record<string, unknown> }
    t.equal(error['code'], 'repository_not_found')
    t.match(error['message'], /nonexistent/)
    t.match(error['hint'], /cairn init --repo/)
    t.same(Object.keys(error), ['code', 'message', 'facts', 'hint'])
  }
  const usage = await cairn(['store', '--json', '--frobnicate'])
  t.match(JSON.parse(usage.stderr), { error: { code: 'invalid_argument' } })
})

t.test('says how to make a repository where one is missing', async t => {
  const repo = join(t.testdir(), 'none')
  const run = await cairn(['tag', 'list'], { repo })
  t.equal(run.code, 3)
  t.match(run.stderr, `(make one with: cairn init --repo ${repo})`)
  t.notOk(existsSync(repo))
})

t.test("makes the user's own repository on first use, and only that", async t => {
  const home = t.testdir()
  const first = await cairn(['tag', 'list', '--json'], { home })
  t.same(JSON.parse(first.stdout), { tags: [], skipped: [] })
  t.ok(existsSync(join(home, '.local/share/cairn/config')))
  const data = join(home, 'data')
  await cairn(['tag', 'list'], { home, env: { XDG_DATA_HOME: data } })
  t.ok(existsSync(join(data, 'cairn/config')))
})

t.test('prints the stack of an error with --verbose', async t => {
  const run = await cairn(['show', 'app', '--verbose'], { repo: '/nonexistent' })
  t.match(run.stderr, /^cairn: no repository.*\nRepositoryNotFoundError: .*\n +at /)
})

t.test('ends quietly when nobody reads its output any more', async t => {
  const { repo } = await storeFolder(t)
  for (const args of [
    ['ls', 'app'],
    ['cat', 'app:run'],
    ['show', 'app', '--json'],
  ]) {
    const child = startCairn(args, { repo })
    child.stdout?.destroy()
    let stderr = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk.toString()
    })
    const [code] = (await once(child, 'close')) as [number]
    t.equal(code, 141)
    t.equal(stderr, '')
  }
})

t.test('tells of a full disk behind its output', async t => {
  const { repo } = await storeFolder(t)
  const [command, ...first] = nodeCommand
  const child = spawn(command, [...first, cairnPath, 'ls', 'app', '--repo', repo], {
    stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
  })
  let stderr = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const [code] = (await once(child, 'close')) as [number]
  t.equal(code, 8)
  t.match(stderr, /^cairn: ENOSPC.*\n$/)
})

t.test('ends with 128 and the signal when it is interrupted', async t => {
  const { repo } = await storeFolder(t)
  // A peer that takes a connection and says nothing.
  const silent = createServer().listen(0, '127.0.0.1')
  t.teardown(() => silent.close())
  await once(silent, 'listening')
  const address = silent.address()
  const port = typeof address === 'object' ? address?.port : undefined
  for (const [signal, expected] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const child = startCairn(['pull', `http://127.0.0.1:${port}/`, 'app'], { repo })
    let stderr = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk.toString()
    })
    const closed = once(child, 'close')
    const [socket] = (await once(silent, 'connection')) as [NodeJS.ReadStream]
    child.kill(signal)
    const [code] = (await closed) as [number]
    t.equal(code, expected)
    t.match(stderr, /\ncairn: interrupted\n$/)
    socket.destroy()
  }
})
