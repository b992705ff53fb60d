import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { DestinationRefusedError, LocalChangesError } from '../../../../lib/errors.js'
import type { Digest } from '../../../../lib/object/digest.js'
import type { Repository } from '../../../../lib/repository/repository.js'
import {
  type CheckoutOptions,
  checkout,
  updateCheckout,
} from '../../../../lib/tree/checkout/checkout.js'
import { RecordBook } from '../../../../lib/tree/checkout/update/record-book.js'
import { storeApplication } from '../../../../lib/tree/source/store-application.js'
import { sameTrees } from '../../../support/compare-trees.js'
import { deepFolder } from '../../../support/deep-folder.js'
import { makePackedRepository } from '../../../support/packed-repository.js'

type Stage = {
  readonly folder: string
  readonly source: string
  readonly out: string
  readonly repository: Repository
  readonly options: CheckoutOptions
}

async function stage(t: Test): Promise<Stage> {
  const folder = deepFolder(t, 'memory')
  const repository = await makePackedRepository(folder)
  t.teardown(() => repository[Symbol.dispose]())
  const onProblem = (error: unknown) => t.fail(String(error))
  const book = new RecordBook(join(folder, 'records'))
  const options = { memory: { book, manner: '', onProblem } }
  const source = join(folder, 'source')
  makeFirst(source)
  return { folder, source, out: join(folder, 'out'), repository, options }
}

async function store({ repository, source }: Stage, mtimes = true): Promise<Digest> {
  await using session = await repository.begin({
    purpose: 'store',
    publishing: 'gradual',
  })
  const { descriptor } = await storeApplication(source, session.objects, { mtimes })
  await session.objects.publish([descriptor.digest])
  return descriptor.digest
}

function write(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), content)
    utimesSync(join(folder, name), 1, 1_000_000_000)
  }
}

function makeFirst(source: string): void {
  write(source, {
    same: 'same',
    changed: 'before',
    removed: 'gone',
    mode: 'mode',
    'kept/a': 'a',
    'kept/b': 'b',
    'part/same': 'same',
    'part/changed': 'before',
    'part/deep/er': 'x',
    'going/one': '1',
    'going/deep/two': '2',
    'to-file/inside': 'x',
    'to-folder': 'a file',
    linked: 'linked',
    pair: 'pair',
  })
  linkSync(join(source, 'linked'), join(source, 'kept/linked'))
  linkSync(join(source, 'linked'), join(source, 'part/linked'))
  linkSync(join(source, 'pair'), join(source, 'pair-too'))
  symlinkSync('same', join(source, 'link'))
  symlinkSync('part', join(source, 'link-to-folder'))
}

function makeSecond(source: string): void {
  write(source, {
    changed: 'after!',
    added: 'new',
    'part/changed': 'after!',
    'new/deep/er': 'x',
    'new/f': 'f',
  })
  chmodSync(join(source, 'mode'), 0o755)
  for (const name of ['removed', 'going', 'to-file', 'to-folder', 'link', 'pair-too']) {
    rmSync(join(source, name), { recursive: true })
  }
  unlinkSync(join(source, 'link-to-folder'))
  write(source, { 'to-file': 'a file', 'to-folder/f': 'x', 'link-to-folder/f': 'x' })
  symlinkSync('changed', join(source, 'link'))
  unlinkSync(join(source, 'kept/linked'))
  linkSync(join(source, 'linked'), join(source, 'new/linked'))
}

t.test('gives what a fresh checkout gives, there and back', async t => {
  for (const mtimes of [true, false]) {
    const place = await stage(t)
    const { source, out, repository, options } = place
    const first = await store(place, mtimes)
    await checkout(repository.objects, { application: first }, out, options)
    makeSecond(source)
    const second = await store(place, mtimes)
    const ignore = mtimes ? [] : (['modification-time'] as const)
    await updateCheckout(repository.objects, { application: second }, out, options)
    await sameTrees(t, source, out, { ignore })

    const fresh = join(place.folder, 'fresh')
    await checkout(repository.objects, { application: first }, fresh)
    await updateCheckout(repository.objects, { application: first }, out, options)
    await sameTrees(t, fresh, out, { ignore })
    t.notOk(readdirSync(out).some(name => name.startsWith('.cairn')))
  }
})

t.test('updates a part of a tree, whatever stands before it', async t => {
  for (const mtimes of [true, false]) {
    const place = await stage(t)
    const { source, out, repository, options } = place
    const path = Buffer.from('part')
    const first = await store(place, mtimes)
    await checkout(repository.objects, { application: first, path }, out, options)
    write(source, { 'kept/aa': 'before it', 'part/changed': 'after!' })
    const second = await store(place, mtimes)
    await updateCheckout(repository.objects, { application: second, path }, out, options)
    t.equal(readFileSync(join(out, 'changed'), 'utf8'), 'after!')
    t.same(readdirSync(out).toSorted(), ['changed', 'deep', 'linked', 'same'])
  }
})

t.test('touches only what differs', async t => {
  const place = await stage(t)
  const { source, out, repository, options } = place
  const application = await store(place)
  await checkout(repository.objects, { application }, out, options)
  const untouched = ['same', 'kept/a', 'part/same', 'part/deep', 'part/deep/er', 'linked']
  const before = untouched.map(name => statSync(join(out, name), { bigint: true }))
  write(source, { changed: 'after!', 'part/changed': 'after!' })
  const second = await store(place)
  const report = await updateCheckout(
    repository.objects,
    { application: second },
    out,
    options,
  )
  t.match(report, { files: 2, bytes: 12 })
  untouched.forEach((name, at) => {
    const { ino, ctimeNs } = statSync(join(out, name), { bigint: true })
    t.match({ ino, ctimeNs }, { ino: before[at]?.ino, ctimeNs: before[at]?.ctimeNs })
  })
})

t.test('keeps what nobody asked to change', async t => {
  const place = await stage(t)
  const { source, out, repository, options } = place
  const first = await store(place)
  await checkout(repository.objects, { application: first }, out, options)
  makeSecond(source)
  const second = await store(place)
  write(out, { 'kept/a': 'mine', mine: 'mine', 'part/mine': 'mine' })
  await updateCheckout(repository.objects, { application: second }, out, options)
  for (const name of ['kept/a', 'mine', 'part/mine']) {
    t.equal(readFileSync(join(out, name), 'utf8'), 'mine')
  }
  const root = { application: second }
  await updateCheckout(repository.objects, root, out, { ...options, force: true })
  t.equal(readFileSync(join(out, 'kept/a'), 'utf8'), 'a')
  for (const name of ['mine', 'part/mine']) rmSync(join(out, name))
  const last = statSync(join(source, 'part'))
  utimesSync(join(out, 'part'), last.atime, last.mtime)
  await sameTrees(t, source, out, { ignore: ['modification-time'] })
})

t.test('refuses to lose local changes, and changes nothing', async t => {
  const place = await stage(t)
  const { source, out, repository, options } = place
  const first = await store(place)
  makeSecond(source)
  const second = { application: await store(place) }
  for (const [path, change] of [
    ['changed', () => writeFileSync(join(out, 'changed'), 'mine!!')],
    ['removed', () => chmodSync(join(out, 'removed'), 0o600)],
    ['added', () => writeFileSync(join(out, 'added'), 'mine')],
    ['going/deep/mine', () => writeFileSync(join(out, 'going/deep/mine'), 'x')],
    ['to-file/mine', () => writeFileSync(join(out, 'to-file/mine'), 'x')],
    ['to-folder', () => writeFileSync(join(out, 'to-folder'), 'mine')],
    ['new', () => symlinkSync('/', join(out, 'new'))],
  ] as const) {
    rmSync(out, { recursive: true, force: true })
    await checkout(repository.objects, { application: first }, out, options)
    change()
    const error = await updateCheckout(repository.objects, second, out, options).catch(
      (reason: unknown) => reason,
    )
    t.type(error, LocalChangesError, path)
    t.match(error, { facts: { count: 1, paths: path } })
    t.equal(readFileSync(join(out, 'part/changed'), 'utf8'), 'before')
    await updateCheckout(repository.objects, second, out, { ...options, force: true })
    await sameTrees(t, source, out)
  }
})

t.test('sees that folders were exchanged, though their files were not', async t => {
  const place = await stage(t)
  const { source, out, repository, options } = place
  write(source, { 'one/d/f': 'aaaa', 'two/d/f': 'bbbb' })
  const first = await store(place)
  await checkout(repository.objects, { application: first }, out, options)
  for (const [from, to] of [
    ['one/d', 'aside'],
    ['two/d', 'one/d'],
    ['aside', 'two/d'],
  ] as const) {
    renameSync(join(out, from), join(out, to))
  }
  rmSync(join(source, 'one/d/f'))
  const application = await store(place)
  await t.rejects(
    updateCheckout(repository.objects, { application }, out, options),
    LocalChangesError,
  )
  t.equal(readFileSync(join(out, 'one/d/f'), 'utf8'), 'bbbb')
})

t.test('writes through no file that has another name elsewhere', async t => {
  const place = await stage(t)
  const { source, folder, out, repository, options } = place
  const first = await store(place)
  await checkout(repository.objects, { application: first }, out, options)
  linkSync(join(out, 'changed'), join(folder, 'elsewhere'))
  makeSecond(source)
  const application = await store(place)
  await updateCheckout(repository.objects, { application }, out, options)
  t.equal(readFileSync(join(folder, 'elsewhere'), 'utf8'), 'before')
  await sameTrees(t, source, out)
})

t.test('compares by content where nothing is remembered', async t => {
  const place = await stage(t)
  const { source, out, repository, options } = place
  const first = await store(place)
  await checkout(repository.objects, { application: first }, out)
  const again = { application: first }
  const report = await updateCheckout(repository.objects, again, out, options)
  t.equal(report.bytes, 10, 'only hard-linked files are made again')
  await sameTrees(t, source, out)
  rmSync(join(place.folder, 'records'), { recursive: true })
  makeSecond(source)
  const application = await store(place)
  await t.rejects(updateCheckout(repository.objects, { application }, out, options), {
    name: 'LocalChangesError',
    message: /not known/,
  })
  await updateCheckout(repository.objects, { application }, out, {
    ...options,
    force: true,
  })
  for (const name of ['removed', 'going', 'pair-too', 'kept/linked']) {
    rmSync(join(out, name), { recursive: true })
  }
  await sameTrees(t, source, out, { ignore: ['modification-time', 'hard-links'] })
})

t.test('does not believe the record of a folder that was replaced', async t => {
  const place = await stage(t)
  const { source, folder, out, repository, options } = place
  const first = await store(place)
  await checkout(repository.objects, { application: first }, out, options)
  renameSync(out, join(folder, 'moved'))
  mkdirSync(out)
  writeFileSync(join(out, 'changed'), 'mine')
  makeSecond(source)
  const application = await store(place)
  await t.rejects(
    updateCheckout(repository.objects, { application }, out, options),
    LocalChangesError,
  )
  rmSync(join(out, 'changed'))
  await updateCheckout(repository.objects, { application }, out, options)
  await sameTrees(t, source, out)
})

t.test('needs a folder to update', async t => {
  const place = await stage(t)
  const application = await store(place)
  const { out, repository, options } = place
  for (const path of [out, join(place.source, 'same')]) {
    await t.rejects(
      updateCheckout(repository.objects, { application }, path, options),
      DestinationRefusedError,
    )
  }
  t.notOk(lstatSync(out, { throwIfNoEntry: false }))
})
