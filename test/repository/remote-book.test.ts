import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeRepository } from '../support/scratch-repository.js'

t.test('keeps remotes in one canonical file of mode 0600', async t => {
  const { remotes, root } = await makeRepository(t.testdir())
  t.same(await remotes.list(), [])
  await remotes.add('origin', 'https://example.org/team/app')
  await remotes.add('backup', 'http://127.0.0.1:8080')
  const path = join(root, 'remotes.json')
  t.equal(
    readFileSync(path, 'utf8'),
    '{"backup":{"url":"http://127.0.0.1:8080/"},"origin":{"url":"https://example.org/team/app"}}\n',
  )
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.same(
    (await remotes.list()).map(({ name }) => name),
    ['backup', 'origin'],
  )
  t.equal((await remotes.get('origin')).url.href, 'https://example.org/team/app')
})

t.test('adds a name once and removes what is there', async t => {
  const { remotes } = await makeRepository(t.testdir())
  await remotes.add('origin', 'https://example.org/one')
  await t.rejects(remotes.add('origin', 'https://example.org/two'), {
    code: 'remote_exists',
    facts: { name: 'origin', found: 'https://example.org/one' },
  })
  await t.rejects(remotes.get('other'), { code: 'remote_not_found' })
  await t.rejects(remotes.remove('other'), { code: 'remote_not_found' })
  await remotes.remove('origin')
  t.same(await remotes.list(), [])
})

t.test('refuses names and addresses that would not do', async t => {
  const { remotes } = await makeRepository(t.testdir())
  const invalid = { code: 'invalid_argument' }
  for (const name of ['', '-x', 'a b', 'a/b', 'a\n', 'x'.repeat(129)]) {
    await t.rejects(remotes.add(name, 'http://127.0.0.1/'), invalid, JSON.stringify(name))
    await t.rejects(remotes.get(name), invalid)
    await t.rejects(remotes.remove(name), invalid)
  }
  const urls = [
    '',
    'example.org',
    '/path',
    'ftp://example.org/',
    'file:///etc/passwd',
    'http://example.org/?service=get-tag',
    'http://example.org/?',
    'http://example.org/#top',
    'http://ada:secret@example.org/',
    'http://ada@example.org/',
  ]
  for (const url of urls) await t.rejects(remotes.add('origin', url), invalid, url)
  t.same(await remotes.list(), [])
})

t.test('does not repeat a password in its refusal', async t => {
  const { remotes } = await makeRepository(t.testdir())
  for (const url of [
    'http://ada:secret@example.org/',
    'ftp://ada:secret@example.org/?x',
  ]) {
    const error: unknown = await remotes
      .add('origin', url)
      .catch((reason: unknown) => reason)
    t.match(error, { code: 'invalid_argument', message: /credentials/ })
    t.notMatch(JSON.stringify(error), /secret/)
    t.notMatch(String(error), /secret/)
  }
})

t.test('refuses a book that it cannot read, and leaves it', async t => {
  const { remotes, root } = await makeRepository(t.testdir())
  const path = join(root, 'remotes.json')
  const books = [
    'no json',
    '[]',
    '{"origin":"http://x/"}',
    '{"origin":{"url":"http://x/","more":1}}',
    '{"origin":{"url":"ftp://x/"}}',
    '{"a/b":{"url":"http://x/"}}',
  ]
  for (const text of books) {
    writeFileSync(path, text)
    await t.rejects(remotes.list(), { code: 'invalid_repository', facts: { path } }, text)
    await t.rejects(remotes.add('new', 'http://x/'), { code: 'invalid_repository' })
    t.equal(readFileSync(path, 'utf8'), text)
  }
})

t.test('loses none that are added at once', async t => {
  const { remotes } = await makeRepository(t.testdir())
  const names = Array.from({ length: 8 }, (_, index) => `remote${index}`)
  await Promise.all(names.map(name => remotes.add(name, 'http://127.0.0.1/')))
  t.same(
    (await remotes.list()).map(({ name }) => name),
    names,
  )
})
