import { lstatSync, readdirSync, readlinkSync } from 'node:fs'
import t from 'tap'
import { encodeDescriptor } from '../../lib/object/descriptor.js'
import { algorithmOf } from '../../lib/object/digest.js'
import { digestObject } from '../../lib/object/digester.js'
import { loadTranscript, transcriptNames } from '../support/golden-transcript.js'
import { loadGoldenTree, makeGoldenTree } from '../support/golden-tree.js'

const golden = loadGoldenTree()

t.test('the digest of every recorded object covers its type and payload', async t => {
  t.equal(golden.objects.length, 35)
  for (const { digest, type, payload } of golden.objects) {
    t.equal(digestObject(algorithmOf(digest), type, payload), digest)
  }
})

t.test('the recorded tag file is the descriptor of the application', async t => {
  t.same(encodeDescriptor(golden.application), golden.tagFile)
})

t.test('makes the folder of a manifest', async t => {
  const folder = `${t.testdir({})}/tree`
  makeGoldenTree(golden.manifest, folder)
  const made = readdirSync(folder, { recursive: true })
  t.equal(made.length, golden.manifest.entries.length)
  t.equal(readlinkSync(`${folder}/copyA/link`), '../README')
  t.equal(lstatSync(`${folder}/bin/tool`).mode, 0o100755)
})

const needsRoot = process.getuid?.() === 0 ? false : 'devices and owners need root'

t.test('makes every kind of entry with its metadata', { skip: needsRoot }, async t => {
  const folder = `${t.testdir({})}/tree`
  const owner = { uid: 123456, gid: 7 }
  makeGoldenTree(
    {
      root: { ...owner, mode: '1777' },
      entries: [
        { path_hex: hex('d'), type: 'dir', ...owner, mode: '0000' },
        {
          path_hex: hex('d/s'),
          type: 'file',
          ...owner,
          mode: '6755',
          content_repeat: { hex: '00', count: 1 << 20 },
          sparse: true,
        },
        { path_hex: hex('h'), type: 'hardlink', hardlink_to_hex: hex('d/s') },
        { path_hex: hex('c'), type: 'char', ...owner, mode: '0666', rdev: [259, 65537] },
        { path_hex: hex('b'), type: 'block', ...owner, mode: '0660', rdev: [7, 0] },
        { path_hex: hex('f'), type: 'fifo', ...owner, mode: '0620' },
        { path_hex: hex('k'), type: 'socket', ...owner, mode: '0755' },
        { path_hex: 'ff', type: 'symlink', ...owner, mode: '0777', target_hex: 'fe2f' },
      ],
    },
    folder,
  )
  const stats = (name: string) => lstatSync(`${folder}/${name}`)
  t.match(stats(''), { uid: 123456, gid: 7, mode: 0o041777 })
  t.match(stats('d'), { uid: 123456, mode: 0o040000 })
  t.match(stats('d/s'), { uid: 123456, mode: 0o106755, size: 1 << 20, blocks: 0 })
  t.match(stats('h'), { nlink: 2, ino: stats('d/s').ino })
  t.match(stats('c'), { uid: 123456, mode: 0o020666, rdev: 0x1001_0301 })
  t.match(stats('b'), { mode: 0o060660, rdev: 0x700 })
  t.match(stats('f'), { mode: 0o010620 })
  t.match(stats('k'), { mode: 0o140755 })
  const link = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff])])
  t.same(readlinkSync(link, { encoding: 'buffer' }), Buffer.from([0xfe, 0x2f]))
})

t.test('loads every recorded connection', async t => {
  for (const name of transcriptNames) {
    const { connections } = loadTranscript(name)
    t.ok(connections.length > 0, name)
    t.ok(connections.every(events => events.at(-1)?.kind === 'end'))
  }
})

function hex(text: string): string {
  return Buffer.from(text).toString('hex')
}
