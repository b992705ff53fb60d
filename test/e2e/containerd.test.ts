import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { unmount } from '../../lib/system/mount.js'
import { Containerd, whyNoContainerd } from '../support/containerd.js'
import { makeHardLayers, packImage } from '../support/oci-image.js'
import { socketFolder } from '../support/snapshots/socket-folder.js'
import { startSnapshotter } from '../support/start-snapshotter.js'

// A real containerd with cairn as its snapshotter, compared with its own overlayfs.

const run = promisify(execFile)
const image = 'cairn.test/hard:1'

t.test(
  'serves a real containerd',
  { skip: whyNoContainerd(), timeout: 120_000 },
  async t => {
    const folder = t.testdir({})
    const sockets = socketFolder(t)
    const socket = join(sockets, 'cairn.sock')
    const root = join(folder, 'snapshots')
    let service = await startSnapshotter(t, ['--socket', socket, '--root', root])
    const containerd = await Containerd.start(t, {
      root: join(folder, 'containerd'),
      run: sockets,
      plugin: socket,
    })
    const restart = async (): Promise<void> => {
      await service.stop('SIGKILL')
      service = await startSnapshotter(t, ['--socket', socket, '--root', root])
      // It tries again by itself, with pauses of some seconds.
      await containerd.untilItAnswers('snapshots', '--snapshotter', 'cairn', 'ls')
    }
    const archive = packImage(folder, makeHardLayers(folder), image)

    await t.test('imports an image, layer by layer', async t => {
      await containerd.ctr('images', 'import', '--snapshotter', 'cairn', archive)
      const listed = lines(await containerd.snapshots('ls'))
      t.equal(listed.filter(line => line.includes('Committed')).length, 3)
      t.equal(listed.filter(line => line.includes('Active')).length, 0)
      const chain = chainOf(await containerd.snapshots('tree'))
      t.equal(chain.length, 3)
      const info = JSON.parse(await containerd.snapshots('info', chain[2] ?? '')) as Info
      t.match(info, { Kind: 'Committed', Name: chain[2], Parent: chain[1] })
      const usage = lines(await containerd.snapshots('usage'))
      t.equal(usage.filter(line => line.startsWith('sha256:')).length, 3)
    })

    await t.test('unpacks the same tree as the overlayfs snapshotter', async t => {
      await containerd.ctr('images', 'import', '--snapshotter', 'overlayfs', archive)
      const chain = chainOf(await containerd.snapshots('tree'))
      const top = chain.at(-1) ?? ''
      const places = ['cairn', 'overlayfs'].map(name => ({
        name,
        at: join(folder, name),
      }))
      for (const { name, at } of places) {
        const snapshots = ['snapshots', '--snapshotter', name]
        mkdirSync(at)
        await containerd.ctr(...snapshots, 'prepare', 'compared', top)
        await run('sh', [
          '-c',
          await containerd.ctr(...snapshots, 'mounts', at, 'compared'),
        ])
      }
      const [ours = '', theirs = ''] = places.map(({ at }) => `${at}/`)
      const compared = await run('rsync', [
        '-aHAXn',
        '--checksum',
        '--delete',
        '--itemize-changes',
        theirs,
        ours,
      ])
      // Its own snapshotter gives the root of each new layer the present as its time.
      t.same(
        lines(compared.stdout).filter(line => line !== '.d..t...... ./'),
        [],
      )
      const at = (path: string): string => join(ours, path)
      t.equal(readFileSync(at('etc/file-twin'), 'utf8'), 'changed\n')
      t.same(readdirSync(at('gone')), ['again'])
      t.same(readdirSync(at('opaque')), ['upper'])
      t.equal(readFileSync(at('etc/removed'), 'utf8'), 'back')
      t.equal(statSync(at('etc/file')).ino, statSync(at('etc/file-again')).ino)
      t.equal(statSync(at('setid')).mode & 0o7777, 0o6755)
    })

    await t.test(
      'runs a container that goes on when the snapshotter is killed',
      async t => {
        const script =
          'echo one > /etc/new; echo started; read line; echo $line >> /etc/new'
        const flags = [
          'run',
          '--snapshotter',
          'cairn',
          image,
          'run',
          '/bin/sh',
          '-c',
          script,
        ]
        const container = containerd.startCtr(t, ...flags)
        t.match(await container.line(), /started/)
        await restart()
        container.write('two\n')
        await container.end()
        const upper = mountOption(
          await containerd.snapshots('mounts', '/x', 'run'),
          'upperdir',
        )
        t.equal(readFileSync(join(upper, 'etc/new'), 'utf8'), 'one\ntwo\n')
        const diff = await containerd.snapshots('diff', 'run')
        t.match(gunzipSync(Buffer.from(diff, 'latin1')).toString('latin1'), /etc\/new/)
        t.match(await containerd.snapshots('usage', 'run'), /run/)
        await containerd.snapshots('commit', 'kept', 'run')
        t.match(await containerd.snapshots('info', 'kept'), /"Kind": "Committed"/)
        await containerd.ctr('containers', 'rm', 'run')
      },
    )

    await t.test('frees all when image and containers are gone', async t => {
      await restart()
      for (const at of ['cairn', 'overlayfs']) unmount(join(folder, at))
      await containerd.snapshots('rm', 'compared')
      await containerd.snapshots('rm', 'kept')
      await containerd.ctr('images', 'rm', '--sync', image)
      t.same(lines(await containerd.snapshots('ls')).slice(1), [])
      t.equal(await service.stop(), 0)
      t.notOk(readFileSync('/proc/self/mountinfo', 'utf8').includes(folder), 'no mounts')
      t.same(readdirSync(join(root, 's')), [])
      t.same(readdirSync(join(root, 'trash')), [])
    })
  },
)

type Info = { readonly Kind: string; readonly Name: string; readonly Parent: string }

function lines(text: string): string[] {
  return text.split('\n').filter(line => line.trim() !== '')
}

// The names of a tree that is a chain, from the bottom up.
function chainOf(tree: string): string[] {
  return lines(tree).map(line => /sha256:[0-9a-f]{64}/.exec(line)?.[0] ?? '')
}

function mountOption(text: string, name: string): string {
  return new RegExp(`${name}=([^,\\s]*)`).exec(text)?.[1] ?? ''
}
