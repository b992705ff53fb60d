import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { encodeDescriptor } from '../../lib/object/descriptor.js'
import { FolderSource } from '../../lib/remote/folder-source.js'
import type { StoreLayout } from '../../lib/repository/config.js'
import { openRepository } from '../../lib/repository/open.js'
import type { HealingSource } from '../../lib/repository/repair/healing-source.js'
import type { RepairReport } from '../../lib/repository/repair/repair-report.js'
import { repairRepository } from '../../lib/repository/repair/repair-repository.js'
import { RepositorySource } from '../../lib/repository/repair/repository-source.js'
import type { Repository } from '../../lib/repository/repository.js'
import { type PackCalls, systemPackCalls } from '../../lib/store/pack/pack-calls.js'
import { makeFifo } from '../../lib/system/special-file.js'
import { storeApplication } from '../../lib/tree/source/store-application.js'
import {
  makePackedRepository,
  problemsOf,
  storeFiles,
} from '../support/packed-repository.js'
import { makeRepository } from '../support/scratch-repository.js'

const layouts: readonly StoreLayout[] = ['pack', 'loose']
const contents = ['the first content', 'the second content', 'x'.repeat(20_000)]

async function make(folder: string, layout: StoreLayout): Promise<Repository> {
  return layout === 'pack' ? makePackedRepository(folder) : makeRepository(folder)
}

async function repair(
  root: string,
  sources: readonly HealingSource[] = [],
): Promise<RepairReport> {
  return repairRepository(root, { sources })
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
  writeFileSync(path, bytes)
}

/** Damages the file that holds some text. */
function damage(root: string, text: string): void {
  for (const folder of ['packs', 'objects']) {
    for (const path of filesBelow(join(root, folder))) {
      const at = readFileSync(path).indexOf(text)
      if (at >= 0) flip(path, at)
    }
  }
}

function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name))
  } catch {
    return []
  }
}

async function problems(root: string): Promise<string[]> {
  using repository = await openRepository(root)
  return await problemsOf(repository)
}

for (const layout of layouts) {
  t.test(`does nothing to a sound repository: ${layout}`, async t => {
    const made = await make(t.testdir(), layout)
    await storeFiles(made, contents, 'tag')
    const kept = () => filesBelow(made.root).filter(path => !path.endsWith('/gc.lock'))
    const before = kept().toSorted()
    t.same(await repair(made.root), {
      quarantined: [],
      rebuilt: [],
      healed: [],
      unhealed: [],
      problems: [],
    })
    t.same(kept().toSorted(), before)
  })

  t.test(`puts bad objects aside and tells who needs them: ${layout}`, async t => {
    const made = await make(t.testdir(), layout)
    await storeFiles(made, contents, 'tag')
    damage(made.root, 'the second content')
    const report = await repair(made.root)
    t.match(report.quarantined, [{ what: 'object', why: /corrupt/ }])
    const [item] = report.quarantined
    t.match(readFileSync(item?.kept ?? '', 'latin1'), /he second content/)
    t.match(JSON.parse(readFileSync(`${item?.kept}.json`, 'utf8')), {
      version: 1,
      what: 'object',
      digest: item?.digest,
      where: item?.where,
    })
    const missing = report.unhealed.find(({ where }) => where === item?.digest)
    t.match(missing, {
      kind: 'missing-object',
      uses: [
        { kind: 'tag', name: 'tag', path: '00000001' },
        { kind: 'log', name: 'tag', path: '00000001' },
      ],
    })
    using repository = await openRepository(made.root)
    await t.rejects(
      repository.objects.read(
        [item?.digest ?? missing?.missing?.digest].flatMap(one => one ?? []),
      ),
      {
        code: 'object_not_found',
      },
    )
  })

  t.test(`heals from another repository, whole trees too: ${layout}`, async t => {
    const folder = t.testdir({ one: {}, other: {} })
    const made = await make(join(folder, 'one'), layout)
    const other = await make(join(folder, 'other'), layout === 'pack' ? 'loose' : 'pack')
    const application = await storeFiles(made, contents, 'tag')
    await storeFiles(other, contents, 'tag')
    const source = new RepositorySource('other', other.objects)
    damage(made.root, 'the first content')
    t.match(await repair(made.root, [source]), {
      healed: [{ type: 'file', source: 'other' }],
      unhealed: [],
    })
    t.same(await problems(made.root), [])
    // Nothing is left but the tag.
    for (const path of filesBelow(join(made.root, 'packs'))) rmSync(path)
    if (layout === 'loose') {
      rmSync(join(made.root, 'objects'), { recursive: true })
      mkdirSync(join(made.root, 'objects'))
    }
    const report = await repair(made.root, [source])
    t.match(report, { healed: [{ digest: application.digest }], unhealed: [] })
    t.same(await problems(made.root), [])
  })

  t.test(`heals from a folder that was stored: ${layout}`, async t => {
    const folder = t.testdir({ tree: { a: 'one', b: { c: 'two', d: { e: 'three' } } } })
    const tree = join(folder, 'tree')
    const made = await make(folder, layout)
    {
      await using session = await made.begin({ purpose: 'store', publishing: 'gradual' })
      const { descriptor } = await storeApplication(tree, session.objects)
      await session.objects.publish([descriptor.digest])
      await made.tags.set('tag', descriptor)
    }
    for (const text of ['two', 'three', 'd\x03']) damage(made.root, text)
    writeFileSync(join(tree, 'unrelated'), 'never stored here')
    rmSync(join(tree, 'unrelated'))
    const report = await repair(made.root, [new FolderSource(tree)])
    t.same(report.unhealed, [])
    t.ok(report.healed.length >= 2)
    t.same(await problems(made.root), [])
  })

  t.test(`goes on after a failure at any write: ${layout}`, async t => {
    const folder = t.testdir({ one: {}, other: {} })
    const made = await make(join(folder, 'one'), layout)
    const other = await make(join(folder, 'other'), 'pack')
    await storeFiles(made, contents, 'tag')
    await storeFiles(other, contents, 'tag')
    damage(made.root, 'the first content')
    flip(join(made.root, 'logs/tags/tag'), 9)
    const source = new RepositorySource('other', other.objects)
    const work = join(folder, 'work')
    for (let nth = 1; ; nth += 2) {
      rmSync(work, { recursive: true, force: true })
      cpSync(made.root, work, { recursive: true })
      let count = 0
      const guard = <Result>(call: () => Result): Result => {
        if (++count !== nth) return call()
        throw Object.assign(new Error('EIO'), { code: 'EIO', syscall: 'test' })
      }
      const system = systemPackCalls
      const calls: PackCalls = {
        ...system,
        create: path => guard(() => system.create(path)),
        rename: (from, to) => guard(() => system.rename(from, to)),
        unlink: path => guard(() => system.unlink(path)),
        sync: async fd => guard(() => system.sync(fd)),
        write: (fd, bytes) => guard(() => system.write(fd, bytes)),
        writeAt: (fd, bytes, at) => guard(() => system.writeAt(fd, bytes, at)),
      }
      let hasFailed = false
      try {
        await repairRepository(work, { sources: [source], calls })
      } catch (error) {
        t.match(error, { code: 'EIO' })
        hasFailed = true
      }
      const { unhealed } = await repair(work, [source])
      t.same(unhealed, [], `call ${nth}`)
      t.same(await problems(work), [], `call ${nth}`)
      if (!hasFailed && count < nth) break
    }
  })
}

t.test('begins a damaged log anew with what stands in front of the damage', async t => {
  const made = await makePackedRepository(t.testdir())
  const states = []
  for (const text of ['one', 'two', 'three']) {
    states.push(await storeFiles(made, [text], 'tag'))
  }
  const log = join(made.root, 'logs/tags/tag')
  flip(log, Math.floor(readFileSync(log).length / 2))
  await t.rejects(made.tags.log('tag'), { code: 'invalid_tag_file' })
  const { quarantined } = await repair(made.root)
  t.match(quarantined, [{ what: 'tag-log', where: log }])
  t.match(
    (await made.tags.log('tag')).map(one => ({ kind: one.kind, new: one.new?.digest })),
    [
      { kind: 'external', new: states[2]?.digest },
      { kind: 'set', new: states[0]?.digest },
    ],
  )
  await storeFiles(made, ['four'], 'tag')
  t.equal((await made.tags.log('tag')).length, 3)
})

t.test('restores a tag file from its log, whatever lies there', async t => {
  const made = await makePackedRepository(t.testdir())
  const descriptor = await storeFiles(made, ['one'], 'tag')
  const path = join(made.root, 'refs/tags/tag')
  const good = readFileSync(path)
  const damages: readonly (readonly [string, () => void])[] = [
    ['empty', () => truncateSync(path)],
    ['digest', () => flip(path, 10)],
    ['totals', () => flip(path, good.length - 1)],
    [
      'fifo',
      () => {
        rmSync(path)
        makeFifo(Buffer.from(path))
      },
    ],
    [
      'folder',
      () => {
        rmSync(path)
        mkdirSync(path)
      },
    ],
  ]
  for (const [what, harm] of damages) {
    harm()
    t.not((await problemsOf(made)).length, 0, what)
    t.match(
      await repair(made.root),
      { quarantined: [{ what: 'tag' }], unhealed: [] },
      what,
    )
    t.same(readFileSync(path), good, what)
    t.same(await problemsOf(made), [], what)
  }
  // Another program's change is no damage.
  const other = await storeFiles(made, ['other'])
  writeFileSync(path, encodeDescriptor(other))
  await repair(made.root)
  t.same(await made.tags.get('tag'), other)
  t.not(other.digest, descriptor.digest)
})

t.test('leaves a tag alone that nothing tells the value of', async t => {
  const made = await makePackedRepository(t.testdir())
  await storeFiles(made, ['one'], 'tag')
  rmSync(join(made.root, 'logs'), { recursive: true })
  const path = join(made.root, 'refs/tags/tag')
  writeFileSync(path, 'no descriptor')
  t.match((await repair(made.root)).unhealed, [{ kind: 'tag-file', where: path }])
  t.equal(readFileSync(path, 'utf8'), 'no descriptor')
})

t.test('makes a config anew that cannot be read', async t => {
  const made = await makePackedRepository(t.testdir())
  await storeFiles(made, ['one'], 'tag')
  const path = join(made.root, 'config')
  const good = readFileSync(path, 'utf8')
  for (const text of [
    good.replace('blake3', 'blake7'),
    good.replace('"pack"', '"pac"'),
    good.replace('{', '['),
    good.replace('"version":1', '"version":3'),
  ]) {
    writeFileSync(path, text)
    await t.rejects(openRepository(made.root), { code: 'invalid_repository' })
    t.match(await repair(made.root), { rebuilt: [path], unhealed: [] }, text)
    t.equal(readFileSync(path, 'utf8'), good)
  }
  rmSync(path)
  await repair(made.root)
  t.same(
    { ...JSON.parse(readFileSync(path, 'utf8')), id: '' },
    { ...JSON.parse(good), id: '' },
  )
  t.same(await problems(made.root), [])
})

t.test('moves aside what is no regular file', async t => {
  const made = await makePackedRepository(t.testdir())
  await storeFiles(made, ['one'], 'tag')
  const places = ['gate', 'sessions/7', 'packs/x.pack', 'packs/multi', 'logs/tags/tag']
  for (const place of places) {
    rmSync(join(made.root, place), { force: true })
    makeFifo(Buffer.from(join(made.root, place)))
  }
  const { quarantined, unhealed } = await repair(made.root)
  t.same(
    quarantined.map(({ where }) => where).toSorted(),
    places.map(place => join(made.root, place)).toSorted(),
  )
  t.same(unhealed, [])
  await storeFiles(made, ['two'], 'tag')
  t.same(await problemsOf(made), [])
})

t.test('saves what can be read of a pack that is in pieces', async t => {
  const folder = t.testdir()
  const made = await makePackedRepository(folder)
  const large = Buffer.alloc(9_000_000, 'a segment of its own ')
  await storeFiles(made, ['before', large, 'behind'], 'tag')
  const [pack = ''] = filesBelow(join(made.root, 'packs'))
  const copy = join(folder, 'copy')
  copyFileSync(pack, copy)
  // The first segment and the trailer are lost; what is behind is found all the same.
  flip(pack, 17)
  flip(pack, readFileSync(pack).length - 3)
  const { quarantined, unhealed } = await repair(made.root)
  t.match(quarantined, [{ what: 'pack', where: pack }])
  t.ok(unhealed.length > 0)
  const info = await openRepository(made.root)
  let objects = 0
  for await (const batch of info.objects.list()) objects += batch.length
  t.ok(objects > 0, 'what could be read is still there')
})

t.test('touches nothing in a folder that is no repository', async t => {
  const folder = t.testdir({ packs: 'a file', config: { a: 'folder' } })
  await t.rejects(repair(folder))
  t.same(readdirSync(folder).toSorted(), ['config', 'packs'])
})
