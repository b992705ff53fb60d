import t from 'tap'
import { cairn, cairnJson } from '../support/run-cairn.js'
import { storeFolder } from '../support/stored-folder.js'

t.test('show describes an application, a directory, a header and a file', async t => {
  const { repo, digest } = await storeFolder(t)
  const application = await cairnJson(['show', 'app'], { repo })
  t.match(application, {
    ref: 'app',
    digest,
    type: 'application',
    algorithm: 'blake3',
    rootHeader: { kind: 'directory', permissions: '0755' },
    hardLinks: { groups: 1, names: 2 },
    modificationTimes: false,
    created: null,
  })
  const { rootDirectory, rootHeader } = application as {
    rootDirectory: { digest: string }
    rootHeader: { digest: string }
  }
  t.match(await cairnJson(['show', rootDirectory.digest], { repo }), {
    type: 'directory',
    entries: 4,
    kinds: { directory: 1, regular: 2, symlink: 1 },
  })
  t.match(await cairnJson(['show', rootHeader.digest], { repo }), {
    type: 'header',
    kind: 'directory',
    xattrs: [],
  })
  const listed = await list(['app:run'], repo)
  t.match(await cairnJson(['show', String(listed[0]?.['digest'])], { repo }), {
    type: 'file',
    size: 10,
    subObjectCount: 0,
  })
  const text = await cairn(['show', digest.slice(0, 12)], { repo })
  t.match(text.stdout, /^type +application\ndigest +0a[0-9a-f]+\n/)
  t.match(text.stdout, /hard links +2 names of 1 file\n/)
})

t.test('show describes an entry of a tree by REF:PATH', async t => {
  const { repo } = await storeFolder(t)
  t.match(await cairnJson(['show', 'app:etc/name'], { repo }), {
    ref: 'app',
    path: 'etc/name',
    type: 'file',
    size: 5,
    header: { kind: 'regular', permissions: '0644' },
  })
  t.match(await cairnJson(['show', 'app:/'], { repo }), {
    path: '',
    type: 'directory',
    entries: 4,
    header: { kind: 'directory' },
  })
  t.match(await cairnJson(['show', 'app:link'], { repo }), {
    type: 'header',
    kind: 'symlink',
    target: 'etc/name',
  })
  const text = await cairn(['show', 'app:etc'], { repo })
  t.match(text.stdout, /^path +\/etc\ntype +directory\n/)
  t.match(text.stdout, /\nmode +drwxr-xr-x \(0755\)\n/)
  const missing = await cairn(['show', 'app:etc/none'], { repo })
  t.equal(missing.code, 3)
})

async function list(args: readonly string[], repo: string) {
  const document = await cairnJson(['ls', ...args], { repo })
  return document['entries'] as readonly Record<string, unknown>[]
}
