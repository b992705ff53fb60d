import fc from 'fast-check'
import t from 'tap'
import {
  type EntryKind,
  findKindOfMode,
  findKindOfStat,
  findModeOfStat,
  hasOnlyKnownBits,
  modeOf,
  permissionsOf,
} from '../../lib/object/file-mode.js'
import { kindOfHeader } from '../../lib/object/header.js'

const examples: readonly (readonly [EntryKind, number, number, number])[] = [
  ['regular', 0o644, 0x0000_01a4, 0o100644],
  ['directory', 0o755, 0x8000_01ed, 0o040755],
  ['directory', 0o1777, 0x8010_01ff, 0o041777],
  ['directory', 0o2775, 0x8040_01fd, 0o042775],
  ['regular', 0o7777, 0x00d0_01ff, 0o107777],
  ['symlink', 0o777, 0x0800_01ff, 0o120777],
  ['char-device', 0o666, 0x0420_01b6, 0o020666],
  ['block-device', 0o660, 0x0400_01b0, 0o060660],
  ['fifo', 0o620, 0x0200_0190, 0o010620],
  ['socket', 0o755, 0x0100_01ed, 0o140755],
]

t.test('the examples of the format have their bits', async t => {
  for (const [kind, permissions, mode, stMode] of examples) {
    t.equal(modeOf(kind, permissions), mode, kind)
    t.equal(findModeOfStat(stMode), mode, kind)
    t.equal(findKindOfStat(stMode), kind)
    t.equal(findKindOfMode(mode), kind)
    t.equal(permissionsOf(mode), permissions, kind)
  }
})

t.test('kind and permissions come back from a mode', async t => {
  const kinds = examples.map(([kind]) => kind)
  fc.assert(
    fc.property(
      fc.constantFrom(...kinds),
      fc.integer({ min: 0, max: 0o7777 }),
      (kind, permissions) => {
        const mode = modeOf(kind, permissions)
        return (
          findKindOfMode(mode) === kind &&
          permissionsOf(mode) === permissions &&
          hasOnlyKnownBits(mode) &&
          mode >= 0
        )
      },
    ),
  )
  t.pass()
})

t.test('a type that inode(7) does not know has no mode', async t => {
  t.equal(findModeOfStat(0o160000), undefined)
  t.equal(findKindOfStat(0), undefined)
})

t.test('a mode of two types describes nothing', async t => {
  t.equal(findKindOfMode(0x8800_0000), undefined)
  t.equal(findKindOfMode(0x0020_0000), undefined)
  const header = { mode: 0x8800_0000, rdev: 0, uid: 0, gid: 0, xattrs: [] }
  t.throws(() => kindOfHeader(header), { code: 'invalid_object' })
  t.equal(kindOfHeader({ ...header, mode: 0x0800_01ff }), 'symlink')
})

t.test('bits that version 1 never writes are not known', async t => {
  for (const bit of [9, 18, 19, 28, 29, 30]) t.notOk(hasOnlyKnownBits(2 ** bit), `${bit}`)
})
