import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { encodeDescriptor } from '../../lib/object/descriptor.js'
import {
  makeRepository,
  objectPath,
  storeSmallTrees,
} from '../support/scratch-repository.js'

async function fixture(folder: string) {
  const repository = await makeRepository(folder, { algorithm: 'sha512-256' })
  const [first, second] = await storeSmallTrees(repository, [1, 2])
  if (first === undefined || second === undefined) throw new Error('two trees')
  return { repository, first, second }
}

const notFound = { code: 'ref_not_found' }

t.test('finds a tag, its past, a digest, and the beginning of one', async t => {
  const { repository, first, second } = await fixture(t.testdir())
  await repository.tags.set('one', first)
  await repository.tags.set('one', second)
  const type = 'application'
  const cases: [string, object][] = [
    ['one', { digest: second.digest, type, tag: 'one' }],
    ['one@{0}', { digest: second.digest, type, tag: 'one' }],
    ['one@{1}', { digest: first.digest, type, tag: 'one' }],
    [first.digest, { digest: first.digest, type }],
    [first.digest.slice(0, 8), { digest: first.digest, type }],
    [first.digest.slice(0, 9), { digest: first.digest, type }],
    [first.digest.slice(0, 65), { digest: first.digest, type }],
  ]
  for (const [text, resolved] of cases) {
    t.same(await repository.resolveRef(text), resolved, text)
  }
})

t.test('prefers a tag to the digest that begins like it', async t => {
  const { repository, first, second } = await fixture(t.testdir())
  const name = first.digest.slice(0, 8)
  await repository.tags.set(name, second)
  t.same((await repository.resolveRef(name)).digest, second.digest)
})

t.test('finds nothing for anything else', async t => {
  const { repository, first } = await fixture(t.testdir())
  await repository.tags.set('one', first)
  await repository.tags.remove('one')
  const cases = [
    'one',
    'one@{0}',
    'one@{2}',
    'one@{-1}',
    'one@{99999999999999999999}',
    'two@{0}',
    '../x@{0}',
    `05${'0'.repeat(64)}`,
    '05000000',
    first.digest.slice(0, 7),
    first.digest.toUpperCase(),
    `${first.digest}00`,
    '',
    '\u001b[31m',
    '../../../etc/passwd',
  ]
  for (const text of cases) {
    await t.rejects(repository.resolveRef(text), notFound, JSON.stringify(text))
  }
  t.same((await repository.resolveRef('one@{1}')).digest, first.digest)
  await t.rejects(repository.resolveRef('\u001b[31m'), { message: /"\\x1b\[31m"/ })
})

t.test('names the candidates of an ambiguous beginning', async t => {
  const { repository, first } = await fixture(t.testdir())
  const planted = `${first.digest.slice(0, 10)}${'0'.repeat(56)}`
  writeFileSync(objectPath(repository.root, planted), '\0x')
  await t.rejects(repository.resolveRef(first.digest.slice(0, 8)), {
    code: 'ambiguous_ref',
    facts: { candidates: [first.digest, planted].toSorted().join(' ') },
  })
  t.same((await repository.resolveRef(first.digest)).digest, first.digest)
})

t.test('passes on that a tag cannot be read', async t => {
  const { repository } = await fixture(t.testdir())
  writeFileSync(join(repository.root, 'refs/tags/bad'), 'bad')
  await t.rejects(repository.resolveRef('bad'), { code: 'invalid_tag_file' })
})

t.test('finds a tag that the original program made', async t => {
  const { repository, first } = await fixture(t.testdir())
  writeFileSync(join(repository.root, 'refs/tags/old'), encodeDescriptor(first))
  t.match(await repository.resolveRef('old@{0}'), { digest: first.digest, tag: 'old' })
})
