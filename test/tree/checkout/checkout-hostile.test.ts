import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  CorruptObjectError,
  DestinationRefusedError,
  LimitExceededError,
} from '../../../lib/errors.js'
import type { Descriptor } from '../../../lib/object/descriptor.js'
import { type DirectoryEntry, encodeDirectory } from '../../../lib/object/directory.js'
import { ModificationTimesEncoder } from '../../../lib/object/modification-times.js'
import { checkout } from '../../../lib/tree/checkout/checkout.js'
import { deepFolder } from '../../support/deep-folder.js'
import { TreeBuilder } from '../../support/tree-builder.js'

type Expected = {
  readonly name?: string
  readonly path?: string
  readonly match?: RegExp
}

// After a refusal there is nothing at the destination and nothing beside it.
async function refuses(
  t: Test,
  builder: TreeBuilder,
  { digest }: Descriptor,
  expected: Expected,
): Promise<void> {
  const folder = t.testdir({})
  const out = join(folder, 'out')
  const error = await checkout(builder.store, { application: digest }, out).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  t.match(error, {
    ...(expected.name !== undefined && { name: expected.name }),
    ...(expected.match !== undefined && { message: expected.match }),
    ...(expected.path !== undefined && { facts: { path: expected.path } }),
  })
  t.same(readdirSync(folder), [])
}

// Replaces a name in an encoded directory by another of the same length.
function renamed(payload: Buffer, from: string, to: string): Buffer {
  const at = payload.indexOf(from)
  const bytes = Buffer.from(payload)
  bytes.write(to, at)
  return bytes
}

t.test('refuses names that lead out of their folder', async t => {
  const builder = new TreeBuilder()
  for (const [from, to] of [
    ['xx', '..'],
    ['xxx', '../'],
    ['xxx', 'a/b'],
    ['xx', 'a\0'],
    ['x', '.'],
  ] as const) {
    const payload = encodeDirectory([builder.file(from, 'evil')])
    const folder = builder.rawFolder('', renamed(payload, from, to))
    const application = builder.application(folder)
    await refuses(t, builder, application, { name: 'InvalidObjectError' })
  }
})

t.test('refuses a folder and a link of one name', async t => {
  const builder = new TreeBuilder()
  const entries = [
    builder.folder('dd', [builder.file('x', 'evil')]),
    builder.symlink('ll', '/etc'),
  ]
  const folder = builder.rawFolder('inner', renamed(encodeDirectory(entries), 'll', 'dd'))
  const application = builder.tree([folder])
  await refuses(t, builder, application, { name: 'InvalidObjectError', path: 'inner' })
})

t.test('names the entry of which something is missing', async t => {
  const builder = new TreeBuilder()
  const file = builder.file('f', 'x', { uid: 5 })
  const inner = builder.folder('d', [file])
  const application = builder.tree([inner])
  builder.store.remove(file.file.digest)
  const name = 'IncompleteClosureError'
  await refuses(t, builder, application, { name, path: 'd/f' })
  builder.store.remove(file.header.digest)
  await refuses(t, builder, application, { name, path: 'd/f' })
  builder.store.remove(inner.directory.digest)
  await refuses(t, builder, application, { name, path: 'd' })
})

t.test('never finishes a file of wrong bytes', async t => {
  for (const size of [5, 3_000_000]) {
    const builder = new TreeBuilder()
    const file = builder.file('f', Buffer.alloc(size, 1))
    const application = builder.tree([builder.folder('d', [file])])
    builder.store.damage(file.file.digest)
    await refuses(t, builder, application, { name: 'CorruptObjectError' })

    const out = t.testdir({ d: { f: 'mine' } })
    const root = { application: application.digest }
    await t.rejects(
      checkout(builder.store, root, out, { force: true }),
      CorruptObjectError,
    )
    t.equal(readFileSync(join(out, 'd/f'), 'utf8'), 'mine')
    t.same(readdirSync(out), ['d'])
    t.same(readdirSync(join(out, 'd')), ['f'])
  }
})

t.test('refuses links that lie about sizes and totals', async t => {
  const builder = new TreeBuilder()
  const file = builder.file('f', 'four')
  const lied = { ...file, file: { ...file.file, size: 5 } }
  await refuses(t, builder, builder.tree([builder.folder('d', [lied])]), {
    name: 'InvalidObjectError',
    path: 'd/f',
  })
  const big = builder.file('f', Buffer.alloc(600_000, 1))
  const liedBig = { ...big, file: { ...big.file, size: 700_000 } }
  await refuses(t, builder, builder.tree([liedBig]), { path: 'f' })

  const folder = builder.folder('d', [file])
  const totals = { ...folder.directory, subObjectCount: 0 }
  await refuses(t, builder, builder.tree([{ ...folder, directory: totals }]), {
    name: 'InvalidObjectError',
    path: 'd',
  })
  const twice = [
    builder.folder('deep', [folder]),
    { ...folder, name: Buffer.from('e'), directory: totals },
  ]
  await refuses(t, builder, builder.tree(twice), { name: 'InvalidObjectError' })
})

t.test('refuses a small tree with more paths than any disk holds, at once', async t => {
  const builder = new TreeBuilder()
  let folder = builder.folder('a', [])
  for (let level = 0; level < 29; level++) {
    folder = builder.folder('a', [folder, { ...folder, name: Buffer.from('b') }])
  }
  const honest = builder.tree([folder])
  const started = performance.now()
  await refuses(t, builder, honest, { name: 'LimitExceededError' })

  // 36 objects whose totals are as a 32-bit counter would have left them.
  let link = folder
  for (let level = 0; level < 6; level++) {
    const entries = [link, { ...link, name: Buffer.from('b') }]
    const count = (2 * (link.directory.subObjectCount + 2)) % 2 ** 32
    const size = 2n * (18n + BigInt(link.directory.size) + link.directory.subObjectsSize)
    link = builder.rawFolder('a', encodeDirectory(entries), {
      subObjectCount: count,
      subObjectsSize: size,
    })
  }
  const wrapped = { ...link, directory: { ...link.directory, subObjectCount: 10 } }
  await refuses(t, builder, builder.application(wrapped), {})
  t.ok(performance.now() - started < 5000)
})

t.test('makes and removes 100,000 levels', { timeout: 110_000 }, async t => {
  const builder = new TreeBuilder()
  let folder = builder.folder('d', [])
  for (let level = 1; level < 100_000; level++) folder = builder.folder('d', [folder])
  const { digest } = builder.tree([folder])
  const out = join(deepFolder(t, 'memory'), 'out')
  const report = await checkout(builder.store, { application: digest }, out)
  t.equal(report.entries, 100_001)
})

t.test('refuses entries that contradict their headers', async t => {
  const builder = new TreeBuilder()
  const file = builder.file('f', 'x')
  const wrong = { ...file, header: builder.header('directory') }
  await refuses(t, builder, builder.tree([builder.folder('d', [wrong])]), {
    name: 'InvalidObjectError',
    path: 'd/f',
  })
  const header = builder.header('regular')
  const unknown: DirectoryEntry = { kind: 'unknown', name: Buffer.from('u'), header }
  await refuses(t, builder, builder.tree([unknown]), { path: 'u' })
})

t.test('refuses owners that the kernel would take for none', async t => {
  const builder = new TreeBuilder()
  const file = builder.file('f', 'x', { uid: 0xffff_ffff })
  await refuses(t, builder, builder.tree([file]), { path: 'f' })
})

t.test('refuses hard-link groups that fit no tree', async t => {
  const builder = new TreeBuilder()
  // Ordinals: root 0, d 1, d/a 2, b 3, c 4, s 5.
  const entries = [
    builder.folder('d', [builder.file('a', 'same')]),
    builder.file('b', 'same'),
    builder.file('c', 'other'),
    builder.symlink('s', 'b'),
  ]
  for (const [group, match] of [
    [[1, 3], /folder/],
    [[2, 4], /not equal/],
    [[2, 5], /not equal/],
    [[3, 6], /beyond/],
  ] as const) {
    const application = builder.tree(entries, { hardLinks: [group] })
    await refuses(t, builder, application, { name: 'InvalidObjectError', match })
  }
})

t.test('refuses more or fewer times than entries', async t => {
  const builder = new TreeBuilder()
  for (const count of [1, 3, 100]) {
    const encoder = new ModificationTimesEncoder()
    for (let at = 0; at < count; at++) encoder.add({ seconds: 1n, nanoseconds: 0 })
    const modificationTimes = encoder.finish()
    const application = builder.tree([builder.file('f', 'x')], {
      modificationTimes,
    })
    await refuses(t, builder, application, { match: /expected 2, found/ })
  }
})

t.test('writes behind a link nowhere', async t => {
  const builder = new TreeBuilder()
  const folder = t.testdir({ outside: { kept: 'kept' } })
  const { digest } = builder.tree([
    builder.folder('a', [builder.symlink('up', '../../outside')]),
    builder.symlink('out', '../outside'),
  ])
  await checkout(builder.store, { application: digest }, join(folder, 'out'))
  t.same(readdirSync(join(folder, 'outside')), ['kept'])
})

t.test(
  'refuses a destination that has entries, is no folder, or is a dead link',
  async t => {
    const builder = new TreeBuilder()
    const { digest } = builder.tree([builder.file('f', 'x')])
    const folder = t.testdir({
      filled: { mine: 'mine' },
      file: 'mine',
      dead: t.fixture('symlink', 'nowhere'),
    })
    for (const name of ['filled', 'file', 'dead', 'no/parent']) {
      await t.rejects(
        checkout(builder.store, { application: digest }, join(folder, name)),
        DestinationRefusedError,
        name,
      )
    }
    t.same(readdirSync(folder).toSorted(), ['dead', 'file', 'filled'])
    t.same(readdirSync(join(folder, 'filled')), ['mine'])
  },
)

t.test('refuses more entries than allowed', async t => {
  const builder = new TreeBuilder()
  const { digest } = builder.tree([builder.file('a', 'x'), builder.file('b', 'x')])
  const out = join(t.testdir({}), 'out')
  const root = { application: digest }
  await t.rejects(
    checkout(builder.store, root, out, { maxEntries: 2 }),
    LimitExceededError,
  )
  await checkout(builder.store, root, out, { maxEntries: 3 })
})

t.test('leaves nothing behind when it is aborted', async t => {
  const builder = new TreeBuilder()
  const folders = []
  for (let at = 0; at < 20; at++) {
    folders.push(builder.folder(`d${at}`, [builder.file('f', `x${at}`)]))
  }
  const { digest } = builder.tree(folders)
  const folder = t.testdir({ existing: {} })
  for (const name of ['out', 'existing']) {
    const controller = new AbortController()
    const root = { application: digest }
    await t.rejects(
      checkout(builder.store, root, join(folder, name), {
        signal: controller.signal,
        onProgress: ({ files }) => {
          if (files === 5) controller.abort()
        },
      }),
      { name: 'AbortError' },
    )
  }
  t.same(readdirSync(folder).toSorted(), ['existing'])
  t.notOk(existsSync(join(folder, 'out')))
  t.same(readdirSync(join(folder, 'existing')), [])
})
