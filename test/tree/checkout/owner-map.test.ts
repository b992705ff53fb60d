import { statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { InvalidArgumentError } from '../../../lib/errors.js'
import { checkout } from '../../../lib/tree/checkout/checkout.js'
import { parseOwnerMap } from '../../../lib/tree/checkout/owner-map.js'
import { isRoot } from '../../support/hard-tree.js'
import { TreeBuilder } from '../../support/tree-builder.js'

const self = { uid: 1000, gid: 1001 }

t.test('maps users, groups or both, one or a range, the first rule first', async t => {
  const map = parseOwnerMap(['u:0:100', 'g:0:200:10', '5:50:5', '5:1'], self)
  t.equal(map.findUid(0), 100)
  t.equal(map.findUid(1), undefined)
  t.equal(map.findGid(9), 209)
  t.equal(map.findGid(10), undefined)
  t.equal(map.findUid(9), 54)
  t.equal(map.findUid(5), 50)
  t.equal(parseOwnerMap(['u:1:2'], self).findGid(77), 77)
})

t.test('gives everything to oneself', async t => {
  const map = parseOwnerMap(['self'], self)
  t.equal(map.findUid(4), 1000)
  t.equal(map.findGid(5), 1001)
})

t.test('refuses what is no rule', async t => {
  const rules = ['', '1', '1:', ':1', 'x:1:2', '1:2:0', '-1:2', '1:4294967295']
  for (const rule of [...rules, '4294967294:1:2', '1:2:3:4', 'me']) {
    t.throws(() => parseOwnerMap([rule], self), InvalidArgumentError, rule)
  }
})

t.test('a checkout has the mapped owners', { skip: !isRoot }, async t => {
  const builder = new TreeBuilder()
  const file = builder.file('f', 'x', { uid: 7, gid: 8, mode: 0o4755 })
  const { digest } = builder.application(builder.folder('', [file], { uid: 0, gid: 0 }))
  const out = join(t.testdir({}), 'out')
  const ownerMap = parseOwnerMap(['0:0', 'u:7:70', 'g:8:80'], self)
  await checkout(builder.store, { application: digest }, out, { ownerMap })
  const { uid, gid, mode } = statSync(join(out, 'f'))
  t.same({ uid, gid, mode: mode & 0o7777 }, { uid: 70, gid: 80, mode: 0o4755 })
})

t.test('names the entry whose owner no rule covers', async t => {
  const builder = new TreeBuilder()
  const file = builder.file('f', 'x', { uid: 7, gid: 0 })
  const folder = builder.folder('d', [file], { uid: 0, gid: 0 })
  const { digest } = builder.application(builder.folder('', [folder], { uid: 0, gid: 0 }))
  const out = join(t.testdir({}), 'out')
  const ownerMap = parseOwnerMap(['0:0'], self)
  await t.rejects(checkout(builder.store, { application: digest }, out, { ownerMap }), {
    code: 'not_representable',
    facts: { path: 'd/f', what: 'user', id: 7 },
  })
})
