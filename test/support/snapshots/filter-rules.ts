import type { Test } from 'tap'
import { key, labels, type MakeSubject, walkAll } from './subject.js'

const matching: readonly (readonly [readonly string[], string])[] = [
  [[], 'A a b v'],
  [[''], 'A a b v'],
  [['kind==active'], 'a b'],
  [['kind==committed'], 'A'],
  [['kind==view'], 'v'],
  [['kind==Active'], ''],
  [['kind'], 'A a b v'],
  [['name==a'], 'a'],
  [['name==a', 'name==b'], 'a b'],
  [['name==a,name==b'], ''],
  [['name!=a'], 'A b v'],
  [['parent==A'], 'b v'],
  [['parent==""'], 'A a'],
  [['parent!=""'], 'b v'],
  [['parent==A,kind==view'], 'v'],
  [['kind==active,labels.l==1'], 'a'],
  [['labels.l'], 'A a'],
  [['labels."l"'], 'A a'],
  [['labels.l!=1'], 'A b v'],
  [['labels.l!=""'], 'A a'],
  [['labels.dotted.label==x'], 'a'],
  [['labels."dotted.label"==x'], 'a'],
  [['labels."containerd.io/snapshot.ref"=="sha256:1",parent==""'], 'A'],
  [['labels.none'], ''],
  [['labels'], ''],
  [['labels.none==""'], ''],
  [['labels.none!=""'], ''],
  [['labels.none!=x'], 'A a b v'],
  [['labels.none~=".*"'], 'A a b v'],
  [['labels.l~=1|2'], 'A a'],
  [['name==a, name~="a|b"'], 'a'],
  [['labels.none~=x'], ''],
  [['unknown'], ''],
  [['unknown==x'], ''],
  [['unknown!=x'], 'A a b v'],
  [['name~=^[ab]$'], 'a b'],
  [['name~=(?i)^a'], 'A a'],
  [['name~=/^a\\\\z/'], 'a'],
  [['name~=|a$|'], 'a'],
  [['name~="a$"'], 'a'],
  [['name~=(?=a)'], ''],
  [['name~=('], ''],
  [['name~=a**'], ''],
  [['name=="\\x61"'], 'a'],
  [['name=="\\141"'], 'a'],
  [['name=="\\u0061"'], 'a'],
  [['name=="\\U00000061"'], 'a'],
  [['name ==  a'], 'a'],
  [['name==a, kind==active'], 'a'],
  [[' name==a'], 'a'],
  [['name. x==a'], 'a'],
]

const malformed = [
  'name=a',
  'name==',
  'name===a',
  'name=~a',
  '==x',
  'name==a,',
  ',name==a',
  'labels.',
  '.name',
  'labels..x',
  'labels.containerd.io/x==y',
  'name==a b',
  'name==a ,kind==active',
  'name ',
  ' ',
  'name=="a',
  'name=="\\q"',
  'name=="\\400"',
  'name=="\\U00110000"',
  'name=="a\nb"',
  'name==/a/',
  'name==|a|',
  'labels./l/==1',
  'name~=/a\\.b/',
  'name~=/^a\\z/',
  'näme==a',
  'name==.a',
  'labels.none~=.*',
  'labels.a-b',
  'name=="a"b',
  'name==a\u0000',
]

/** The filters of a walk: containerd's grammar. */
export async function testFilters(t: Test, make: MakeSubject): Promise<void> {
  await t.test('filters as containerd does', async t => {
    const { snapshotter } = await make(t)
    const reference = { l: '2', 'containerd.io/snapshot.ref': 'sha256:1' }
    await snapshotter.prepare(key('w'))
    await snapshotter.commit(key('A'), key('w'), { labels: labels(reference) })
    const own = { l: '1', 'dotted.label': 'x' }
    await snapshotter.prepare(key('a'), { labels: labels(own) })
    await snapshotter.prepare(key('b'), { parent: key('A') })
    await snapshotter.view(key('v'), { parent: key('A') })
    for (const [filters, expected] of matching) {
      const found = (await walkAll(snapshotter, filters)).map(({ name }) => name)
      t.equal(found.join(' '), expected, JSON.stringify(filters))
    }
    for (const filter of malformed) {
      await t.rejects(
        walkAll(snapshotter, ['name==a', filter]),
        { code: 'invalid_argument' },
        JSON.stringify(filter),
      )
    }
  })

  await t.test('matches a hostile pattern in time in proportion to the text', async t => {
    const { snapshotter } = await make(t)
    await snapshotter.prepare(key('a'), { labels: labels({ l: 'a'.repeat(30_000) }) })
    t.same(await walkAll(snapshotter, ['labels.l~=(a*)*(a*)*b$']), [])
    await t.rejects(walkAll(snapshotter, [`name~=${'a'.repeat(70_000)}`]), {
      code: 'invalid_argument',
    })
  })
}
