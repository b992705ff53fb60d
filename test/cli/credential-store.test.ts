import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CredentialStore } from '../../cli/credential-store.js'

t.test('shows what is kept to the paths below an address, and to no other', async t => {
  const store = new CredentialStore(join(t.testdir(), 'new', 'credentials.json'))
  t.equal(store.find(new URL('https://host.example/team')), undefined)
  await store.set(new URL('https://host.example/'), 'all')
  await store.set(new URL('https://host.example/team/'), 'team')
  t.equal(statSync(store.path).mode & 0o777, 0o600)
  const expected = [
    ['https://host.example', 'all'],
    ['https://host.example/teams/app', 'all'],
    ['https://host.example/team', 'team'],
    ['https://host.example/team/app', 'team'],
    ['http://host.example/team', undefined],
    ['https://host.example:444/team', undefined],
    ['https://host.example.evil.example/team', undefined],
    ['https://other.example/team', undefined],
  ] as const
  for (const [url, found] of expected) t.equal(store.find(new URL(url)), found, url)
  t.equal(await store.remove(new URL('https://host.example/team')), true)
  t.equal(await store.remove(new URL('https://host.example/team')), false)
  t.equal(store.find(new URL('https://host.example/team')), 'all')
})

t.test('refuses a damaged file without showing what it holds', async t => {
  const folder = t.testdir()
  mkdirSync(join(folder, 'cairn'))
  const path = join(folder, 'cairn', 'credentials.json')
  const store = new CredentialStore(path)
  for (const text of ['{"credentials": {"a secret', '{"credentials": {"secret": "x"}}']) {
    writeFileSync(path, text)
    try {
      store.find(new URL('https://host.example'))
      t.fail('took a damaged file')
    } catch (error) {
      t.match(error, { code: 'invalid_argument', message: /invalid credentials/ })
      t.notMatch(String(error), /secret/)
    }
    t.equal(readFileSync(path, 'utf8'), text)
  }
})
