import { mkdirSync, openSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { DestinationRefusedError } from '../../../lib/errors.js'
import { checkout } from '../../../lib/tree/checkout/checkout.js'
import { WorkFolder } from '../../../lib/tree/checkout/work-folder.js'
import { TreeBuilder } from '../../support/tree-builder.js'

const abandoned = '.cairn-0123456789abcdef'

// What a checkout that was killed leaves behind.
function leave(folder: string, mode = 0o700): string {
  const left = join(folder, abandoned)
  mkdirSync(left, { mode })
  mkdirSync(join(left, '0/deep/er'), { recursive: true })
  writeFileSync(join(left, '0/deep/f'), 'half')
  return left
}

t.test('a killed checkout does not keep its repetition from the folder', async t => {
  const builder = new TreeBuilder()
  const { digest } = builder.tree([builder.file('f', 'x')])
  const out = t.testdir({})
  leave(out)
  await checkout(builder.store, { application: digest }, out)
  t.same(readdirSync(out), ['f'])
})

t.test('removes what killed checkouts left beside the destination', async t => {
  const builder = new TreeBuilder()
  const { digest } = builder.tree([builder.file('f', 'x')])
  const folder = t.testdir({ '.cairn-mine': {}, '.cairn-0123456789ABCDEF': {} })
  leave(folder)
  await checkout(builder.store, { application: digest }, join(folder, 'out'))
  t.same(readdirSync(folder).toSorted(), [
    '.cairn-0123456789ABCDEF',
    '.cairn-mine',
    'out',
  ])
})

t.test('leaves a work folder alone that is in use, or open to others', async t => {
  const builder = new TreeBuilder()
  const { digest } = builder.tree([builder.file('f', 'x')])
  const folder = t.testdir({})
  leave(folder, 0o755)
  using _ = new WorkFolder(openSync(folder, 'r'))
  const before = readdirSync(folder)
  t.equal(before.length, 2)
  await checkout(builder.store, { application: digest }, join(folder, 'out'))
  t.same(readdirSync(folder).toSorted(), [...before, 'out'].toSorted())
  await t.rejects(
    checkout(builder.store, { application: digest }, folder),
    DestinationRefusedError,
  )
})
