import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { cairn, cairnJson, cairnPath, startServer } from '../support/run-cairn.js'
import { storeFolder } from '../support/stored-folder.js'

/** Runs `cairn login` with a secret on its standard input. */
async function logIn(home: string, url: string, secret: string): Promise<number | null> {
  const child = spawn(process.execPath, [cairnPath, 'login', url], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { ...process.env, HOME: home, XDG_CONFIG_HOME: undefined },
  })
  child.stdin.end(`${secret}\n`)
  const [code] = (await once(child, 'exit')) as [number | null]
  return code
}

t.test('a token lets its holder push and pull until it is revoked', async t => {
  const { repo, digest } = await storeFolder(t)
  const folder = join(dirname(repo), 'server')
  for (const name of ['served', 'home'])
    mkdirSync(join(folder, name), { recursive: true })
  const [tokens, home, audit] = ['tokens.json', 'home', 'audit'].map(name =>
    join(folder, name),
  )
  if (tokens === undefined || home === undefined || audit === undefined) return
  const flags = ['--tokens', tokens, '--audit-log', audit]
  const made = await cairnJson([
    'token',
    'create',
    ...flags,
    '--name',
    'ci',
    '--allow',
    'pull,push',
    '--repositories',
    'team/*',
  ])
  const token = String(made['token'])
  t.match(token, /^cairn_[\w-]{43}$/)
  t.notMatch(readFileSync(tokens, 'utf8'), token)
  t.equal(statSync(tokens).mode & 0o777, 0o600)

  const root = join(folder, 'served')
  await using server = await startServer(['--root', root, '--create', ...flags])
  const url = `${server.url}/team/app`
  const refused = await cairn(['push', url, 'app'], { repo, home })
  t.equal(refused.code, 7)
  t.match(refused.stderr, `cairn login ${url})`)
  t.equal(await logIn(home, server.url, token), 0)
  const kept = join(home, '.config/cairn/credentials.json')
  t.equal(statSync(kept).mode & 0o777, 0o600)
  const pushed = await cairn(['push', url, 'app'], { repo, home })
  t.equal(pushed.code, 0, pushed.stderr)
  t.match(await cairnJson(['remote', 'tags', url], { repo, home }), {
    tags: [{ name: 'app', digest }],
  })
  t.equal((await cairn(['logout', server.url], { home })).code, 0)
  t.equal((await cairn(['remote', 'tags', url], { repo, home })).code, 7)
  const env = { CAIRN_TOKEN: token }
  t.equal((await cairn(['remote', 'tags', url], { repo, home, env })).code, 0)
  // What is missing is fetched with the same right.
  rmSync(join(repo, 'objects'), { recursive: true })
  mkdirSync(join(repo, 'objects'))
  t.not((await cairn(['fsck'], { repo })).code, 0)
  const repaired = await cairn(['repair', '--from', url], { repo, home, env })
  t.equal(repaired.code, 0, repaired.stderr)
  t.equal((await cairn(['fsck'], { repo })).code, 0)
  t.equal((await cairn(['token', 'revoke', 'ci', ...flags])).code, 0)
  t.equal((await cairn(['remote', 'tags', url], { repo, home, env })).code, 7)
  const listed = await cairnJson(['token', 'list', '--tokens', tokens])
  t.match(listed, {
    tokens: [{ name: 'ci', state: 'revoked', repositories: ['team/*'] }],
  })
  await server.stop()
  t.notMatch(server.log(), token.slice(6))

  const entries = readFileSync(audit, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
  t.match(entries, [
    { action: 'token-create' },
    {
      action: 'tag-set',
      who: 'token:ci',
      repository: '/team/app',
      tag: 'app',
      from: null,
      to: digest,
    },
    { action: 'push', who: 'token:ci', to: digest },
    { action: 'token-revoke' },
  ])
})

t.test('serve takes a configuration, and reads it again on SIGHUP', async t => {
  const { repo } = await storeFolder(t)
  const path = join(dirname(repo), 'server.yaml')
  const write = (...lines: string[]): void => writeFileSync(path, lines.join('\n'))
  write('access:', '  rules: []')
  await using server = await startServer(['--repo', repo, '--config', path])
  t.equal((await cairn(['remote', 'tags', server.url], { repo })).code, 7)
  const reloaded = async (): Promise<void> => {
    const before = server.log().length
    server.process.kill('SIGHUP')
    while (!/reloaded/.test(server.log().slice(before))) {
      const { stderr } = server.process
      if (stderr === null) throw new Error('no log')
      await once(stderr, 'data')
    }
  }
  const rule = ['who: anonymous', 'repositories: "**"', 'allow: pull']
  write('access:', '  rules:', `    - { ${rule.join(', ')} }`)
  await reloaded()
  t.equal((await cairn(['remote', 'tags', server.url], { repo })).code, 0)
  write('access:', '  rules:', '    - nonsense: true')
  await reloaded()
  t.match(server.log(), /not reloaded.*server\.yaml:3:7: access\.rules\[0\]/)
  t.equal((await cairn(['remote', 'tags', server.url], { repo })).code, 0)
})

t.test('serve tells line and key of what is wrong in a configuration', async t => {
  const folder = t.testdir()
  const path = join(folder, 'server.yaml')
  const wrong = [
    ['rot: /srv', /:1:1: rot: unknown key: expected one of root/],
    ['create: maybe', /:1:9: create: expected true or false, found "maybe"/],
    ['limits:\n  uploads: 0', /:2:12: limits\.uploads: expected a whole number of 1/],
    [
      'limits:\n  repository-bytes: 10X',
      /:2:21: limits\.repository-bytes: expected bytes/,
    ],
    ['a: 1\na: 2', /:2:1: /],
    [
      'access:\n  rules:\n    - who: me',
      /:3:12: access\.rules\[0\]\.who: "me" is nobody/,
    ],
    ['tls:\n  key: k', /:2:3: tls: expected both certificate and key/],
    ['- a', /:1:1: expected a section/],
    ['root: [', /:\d+:\d+: /],
  ] as const
  for (const [text, message] of wrong) {
    writeFileSync(path, text)
    const run = await cairn(['serve', '--root', folder, '--config', path])
    t.equal(run.code, 2, text)
    t.match(run.stderr, message, text)
  }
})
