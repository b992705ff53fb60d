import {
  chmodSync,
  chownSync,
  existsSync,
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
import type { Test } from 'tap'
import { findXattr, setXattr } from '../../../lib/system/xattr.js'
import {
  commitLayer,
  key,
  lookAt,
  type MakeSubject,
  makeFolders,
  mounted,
} from './subject.js'

const write = (root: string, path: string, text: string): void => {
  writeFileSync(join(root, path), text)
}
const read = (root: string, path: string): string =>
  readFileSync(join(root, path), 'utf8')

/** What layers on top of each other show: needs the right to mount. */
export async function testFiles(t: Test, make: MakeSubject): Promise<void> {
  await t.test('shows a layer on top of its parent, and takes changes', async t => {
    const subject = await make(t)
    await commitLayer(subject, {
      name: 'A',
      change: root => {
        makeFolders(root, 'a/b', 'gone/deep')
        write(root, 'a/b/file', 'one')
        write(root, 'gone/deep/file', 'x')
      },
    })
    await commitLayer(subject, {
      name: 'B',
      parent: 'A',
      change: root => {
        t.equal(read(root, 'a/b/file'), 'one')
        write(root, 'a/b/file', 'two')
        write(root, 'new', 'new')
        rmSync(join(root, 'gone'), { recursive: true })
      },
    })
    await lookAt(subject, 'B', root => {
      t.same(readdirSync(root).toSorted(), ['a', 'new'])
      t.equal(read(root, 'a/b/file'), 'two')
    })
    await lookAt(subject, 'A', root => {
      t.equal(read(root, 'a/b/file'), 'one')
      t.ok(existsSync(join(root, 'gone/deep/file')))
    })
  })

  await t.test('mounts the same again, with what was written before', async t => {
    const subject = await make(t)
    await commitLayer(subject, { name: 'A', change: root => write(root, 'f', '1') })
    const { snapshotter } = subject
    const mounts = await snapshotter.prepare(key('b'), { parent: key('A') })
    await mounted(subject, mounts, root => write(root, 'g', '2'))
    t.same(await snapshotter.mounts(key('b')), mounts)
    await mounted(subject, await snapshotter.mounts(key('b')), root => {
      t.same(readdirSync(root).toSorted(), ['f', 'g'])
    })
  })

  await t.test('sees a file that changes again and again within a second', async t => {
    const subject = await make(t)
    for (let layer = 0; layer < 6; layer++) {
      await commitLayer(subject, {
        name: `L${layer}`,
        parent: layer === 0 ? '' : `L${layer - 1}`,
        change: root => {
          write(root, 'file', `text ${layer}`)
          utimesSync(join(root, 'file'), 1_000_000_000, 1_000_000_000)
        },
      })
    }
    for (let layer = 0; layer < 6; layer++) {
      await lookAt(subject, `L${layer}`, root => {
        t.equal(read(root, 'file'), `text ${layer}`)
      })
    }
  })

  await t.test('replaces a folder of a lower layer with another', async t => {
    const subject = await make(t)
    await commitLayer(subject, {
      name: 'A',
      change: root => {
        makeFolders(root, 'dir/sub')
        write(root, 'dir/old', 'old')
      },
    })
    await commitLayer(subject, {
      name: 'B',
      parent: 'A',
      change: root => {
        rmSync(join(root, 'dir'), { recursive: true })
        makeFolders(root, 'dir')
        write(root, 'dir/new', 'new')
      },
    })
    await commitLayer(subject, {
      name: 'C',
      parent: 'B',
      change: root => write(root, 'dir/newer', 'newer'),
    })
    await lookAt(subject, 'C', root => {
      t.same(readdirSync(join(root, 'dir')).toSorted(), ['new', 'newer'])
    })
  })

  await t.test('keeps what a layer says of owners and permissions', async t => {
    const subject = await make(t)
    await commitLayer(subject, {
      name: 'A',
      change: root => {
        makeFolders(root, 'opt/a/b', 'home/user')
        write(root, 'opt/a/b/file', 'x')
        chownSync(join(root, 'home/user'), 7, 8)
      },
    })
    await commitLayer(subject, {
      name: 'B',
      parent: 'A',
      change: root => {
        for (const path of ['opt', 'opt/a', 'opt/a/b', 'opt/a/b/file']) {
          chownSync(join(root, path), 1001, 1002)
        }
        chmodSync(join(root, 'opt/a/b/file'), 0o4711)
        rmSync(join(root, 'home/user'), { recursive: true })
        mkdirSync(join(root, 'home/user'), { mode: 0o700 })
      },
    })
    await commitLayer(subject, {
      name: 'C',
      parent: 'B',
      change: root => write(root, 'home/user/f', ''),
    })
    await lookAt(subject, 'C', root => {
      for (const path of ['opt', 'opt/a', 'opt/a/b', 'opt/a/b/file']) {
        const { uid, gid } = statSync(join(root, path))
        t.same([uid, gid], [1001, 1002], path)
      }
      t.equal(statSync(join(root, 'opt/a/b/file')).mode & 0o7777, 0o4711)
      t.match(statSync(join(root, 'home/user')), { uid: 0, gid: 0 })
    })
  })

  await t.test('keeps a file removed that an upper layer removed', async t => {
    const subject = await make(t)
    await commitLayer(subject, { name: 'A', change: root => write(root, 'f', 'x') })
    await commitLayer(subject, {
      name: 'B',
      parent: 'A',
      change: root => {
        unlinkSync(join(root, 'f'))
      },
    })
    await commitLayer(subject, {
      name: 'C',
      parent: 'B',
      change: root => write(root, 'g', ''),
    })
    await lookAt(subject, 'C', root => t.same(readdirSync(root), ['g']))
    await commitLayer(subject, {
      name: 'D',
      parent: 'C',
      change: root => write(root, 'f', 'again'),
    })
    await lookAt(subject, 'D', root => t.equal(read(root, 'f'), 'again'))
  })

  await t.test('takes files that move from a lower layer', async t => {
    const subject = await make(t)
    await commitLayer(subject, {
      name: 'A',
      change: root => {
        makeFolders(root, 'dir1', 'dir2/sub')
        write(root, 'dir1/f', 'text')
        write(root, 'dir2/sub/g', 'sub')
      },
    })
    await commitLayer(subject, {
      name: 'B',
      parent: 'A',
      change: root => {
        linkSync(join(root, 'dir1/f'), join(root, 'dir2/f'))
        unlinkSync(join(root, 'dir1/f'))
        renameSync(join(root, 'dir2/sub/g'), join(root, 'moved'))
      },
    })
    await lookAt(subject, 'B', root => {
      t.same(readdirSync(join(root, 'dir1')), [])
      t.equal(read(root, 'dir2/f'), 'text')
      t.equal(read(root, 'moved'), 'sub')
      t.same(readdirSync(join(root, 'dir2/sub')), [])
    })
  })

  await t.test('lets nobody write to a view', async t => {
    const subject = await make(t)
    await commitLayer(subject, { name: 'A', change: root => write(root, 'f', 'x') })
    await commitLayer(subject, {
      name: 'B',
      parent: 'A',
      change: root => write(root, 'g', 'y'),
    })
    for (const parent of ['', 'A', 'B']) {
      const view = key(`view of ${parent}`)
      const mounts = await subject.snapshotter.view(view, { parent: key(parent) })
      await mounted(subject, mounts, root => {
        t.throws(() => write(root, 'new', 'z'), { code: 'EROFS' }, `on ${parent}`)
        if (parent === '') return
        t.throws(() => write(root, 'f', 'z'), { code: 'EROFS' })
        t.throws(() => chmodSync(join(root, 'f'), 0o777), { code: 'EROFS' })
      })
    }
  })

  await t.test('makes roots of mode 0755, and like those below them', async t => {
    const subject = await make(t)
    const before = process.umask(0o077)
    try {
      const mounts = await subject.snapshotter.prepare(key('a'))
      await mounted(subject, mounts, root => {
        t.equal(statSync(root).mode & 0o7777, 0o755)
        chownSync(root, 11, 12)
        chmodSync(root, 0o1750)
        setXattr(Buffer.from(root), Buffer.from('user.note'), Buffer.from('root'))
      })
      await subject.snapshotter.commit(key('A'), key('a'))
      const above = await subject.snapshotter.prepare(key('b'), { parent: key('A') })
      await mounted(subject, above, root => {
        t.match(statSync(root), { uid: 11, gid: 12 })
        t.equal(statSync(root).mode & 0o7777, 0o1750)
        t.equal(
          findXattr(Buffer.from(root), Buffer.from('user.note'))?.toString(),
          'root',
        )
      })
    } finally {
      process.umask(before)
    }
  })

  await t.test('keeps hard links, links and attributes of a lower layer', async t => {
    const subject = await make(t)
    await commitLayer(subject, {
      name: 'A',
      change: root => {
        write(root, 'one', 'same')
        linkSync(join(root, 'one'), join(root, 'two'))
        write(root, 'twin', 'same')
        symlinkSync('one', join(root, 'link'))
        setXattr(Buffer.from(join(root, 'one')), Buffer.from('user.x'), Buffer.from('y'))
      },
    })
    await commitLayer(subject, {
      name: 'B',
      parent: 'A',
      change: root => write(root, 'other', ''),
    })
    await lookAt(subject, 'B', root => {
      const [one, two, twin] = ['one', 'two', 'twin'].map(name =>
        lstatSync(join(root, name)),
      )
      t.equal(one?.ino, two?.ino)
      t.not(one?.ino, twin?.ino)
      t.equal(one?.nlink, 2)
      t.equal(twin?.nlink, 1)
      t.ok(lstatSync(join(root, 'link')).isSymbolicLink())
      const value = findXattr(Buffer.from(join(root, 'two')), Buffer.from('user.x'))
      t.equal(value?.toString(), 'y')
    })
  })

  await t.test('mounts 128 layers', async t => {
    const subject = await make(t)
    const count = 128
    for (let layer = 1; layer <= count; layer++) {
      await commitLayer(subject, {
        name: `layer ${layer}`,
        parent: layer === 1 ? '' : `layer ${layer - 1}`,
        change: root => {
          t.equal(readdirSync(root).length, layer - 1)
          write(root, `file ${layer}`, String(layer))
        },
      })
    }
    await lookAt(subject, `layer ${count}`, root => {
      t.equal(readdirSync(root).length, count)
      t.equal(read(root, 'file 1'), '1')
      t.equal(read(root, `file ${count}`), String(count))
    })
  })
}
