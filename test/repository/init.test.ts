import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { version1Config } from '../../lib/repository/config.js'
import { initRepository } from '../../lib/repository/init.js'
import { openRepository } from '../../lib/repository/open.js'
import {
  makeRepository,
  makeVersion1Folder,
  storeSmallTree,
} from '../support/scratch-repository.js'

const choices = version1Config()

t.test('makes a folder of mode 0700 with a config, objects and tags', async t => {
  const { root, config } = await makeRepository(t.testdir())
  t.equal(statSync(root).mode & 0o777, 0o700)
  t.equal(statSync(join(root, 'config')).mode & 0o777, 0o600)
  t.same(readdirSync(root).toSorted(), ['config', 'objects', 'refs'])
  t.match(config, { version: 1, layout: 'loose', algorithm: { name: 'blake3' } })
  t.same((await openRepository(root)).config, config)
})

t.test('makes an empty folder private that others could read before', async t => {
  const root = t.testdir()
  chmodSync(root, 0o755)
  await initRepository(root, choices)
  t.equal(statSync(root).mode & 0o777, 0o700)
})

t.test('refuses a folder that holds other things, and leaves them alone', async t => {
  const root = t.testdir({ 'no\ntes': 'text' })
  await t.rejects(initRepository(root, choices), {
    code: 'destination_refused',
    message: /found "no\\x0ates" in it/,
  })
  t.same(readdirSync(root), ['no\ntes'])
})

t.test('refuses a folder whose config is foreign', async t => {
  const root = t.testdir({ config: '[core]\n' })
  await t.rejects(initRepository(root, choices), { code: 'destination_refused' })
  t.equal(readFileSync(join(root, 'config'), 'utf8'), '[core]\n')
})

t.test(
  'refuses a file, a place without parent folder, and a place below a file',
  async t => {
    const root = t.testdir({ file: 'text' })
    for (const path of ['file', 'no/where', 'file/below']) {
      await t.rejects(
        initRepository(join(root, path), choices),
        { code: 'destination_refused' },
        path,
      )
    }
  },
)

t.test('refuses a repository, configured or of version 1', async t => {
  const { root } = await makeRepository(t.testdir())
  await t.rejects(initRepository(root, choices), { code: 'repository_exists' })
  const old = makeVersion1Folder(t.testdir())
  await t.rejects(initRepository(old, choices), { code: 'repository_exists' })
})

t.test('refuses every place inside a repository, also through a link', async t => {
  const folder = t.testdir()
  const { root } = await makeRepository(folder)
  const link = join(folder, 'link')
  symlinkSync(join(root, 'refs'), link)
  for (const path of [join(root, 'objects', 'new'), join(root, 'new'), join(link, 'x')]) {
    await t.rejects(initRepository(path, choices), {
      code: 'repository_exists',
      facts: { found: root },
    })
  }
})

t.test('makes a repository beside a file that is merely called config', async t => {
  const folder = t.testdir({ config: '{"clusters":[]}' })
  await makeRepository(folder)
})

t.test('finishes what a stopped init began', async t => {
  const root = t.testdir({ 'config.new': '{"algo' })
  const { config } = await initRepository(root, choices)
  t.same((await openRepository(root)).config, config)
  t.notOk(readdirSync(root).includes('config.new'))
})

t.test('lets exactly one of several at once make it', async t => {
  const folder = t.testdir()
  const results = await Promise.allSettled(
    Array.from({ length: 5 }, () => makeRepository(folder)),
  )
  const made = results.filter(({ status }) => status === 'fulfilled')
  t.equal(made.length, 1)
  t.match(
    results.filter(({ status }) => status === 'rejected'),
    Array.from({ length: 4 }, () => ({ reason: { code: 'repository_exists' } })),
  )
})

t.test('opens a folder of version 1, which stays without config', async t => {
  const root = makeVersion1Folder(t.testdir())
  const repository = await openRepository(root)
  t.match(repository.config, { id: undefined, algorithm: { id: 5 }, layout: 'loose' })
  const descriptor = await storeSmallTree(repository, 1)
  await repository.tags.set('one', descriptor)
  t.match(descriptor.digest, /^05/)
  t.notOk(readdirSync(root).includes('config'))
  t.same(await (await openRepository(root)).tags.get('one'), descriptor)
})

t.test('finds no repository where there is none', async t => {
  const root = t.testdir({ folder: {}, file: 'text', half: { objects: {} } })
  for (const path of ['folder', 'absent', 'file', 'file/below', 'half']) {
    await t.rejects(
      openRepository(join(root, path)),
      { code: 'repository_not_found', facts: { path: join(root, path) } },
      path,
    )
  }
})

t.test('opens a repository through a link, and changes it', async t => {
  const folder = t.testdir()
  const { root } = await makeRepository(folder)
  symlinkSync(root, join(folder, 'link'))
  const repository = await openRepository(join(folder, 'link'))
  t.equal(repository.root, root)
  await repository.tags.set('one', await storeSmallTree(repository, 1))
})

t.test('passes the reason on when a config cannot be understood', async t => {
  const root = t.testdir()
  writeFileSync(join(root, 'config'), '{"version":7}')
  mkdirSync(join(root, 'objects'))
  await t.rejects(openRepository(root), {
    code: 'invalid_repository',
    message: /version: expected 1, found 7/,
  })
})
