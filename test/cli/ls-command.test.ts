import t from 'tap'
import { cairn, cairnJson } from '../support/run-cairn.js'
import { rudeText, storeFolder } from '../support/stored-folder.js'

t.test('ls lists names as they are below what was asked for', async t => {
  const { repo } = await storeFolder(t)
  t.equal((await cairn(['ls', 'app'], { repo })).stdout, `etc\nlink\nrun\n${rudeText}\n`)
  t.equal((await cairn(['ls', 'app:etc'], { repo })).stdout, 'name\nother-name\n')
  t.equal((await cairn(['ls', 'app:etc/name'], { repo })).stdout, 'etc/name\n')
  t.equal(
    (await cairn(['ls', '-R', 'app'], { repo })).stdout,
    `etc\netc/name\netc/other-name\nlink\nrun\n${rudeText}\n`,
  )
})

t.test('ls -l shows mode, owner, size and link target', async t => {
  const { repo } = await storeFolder(t)
  const owner = `${process.getuid?.()}:${process.getgid?.()}`
  const { stdout } = await cairn(['ls', '-l', 'app'], { repo })
  const lines = stdout.split('\n').map(line => line.replaceAll(/ +/g, ' '))
  t.match(lines[0], new RegExp(`^drwxr-xr-x ${owner} \\d+ etc$`))
  t.equal(lines[1], `lrwxrwxrwx ${owner} 8 link -> etc/name`)
  t.equal(lines[2], `-rwxr-xr-x ${owner} 10 run`)
})

t.test('ls gives the same as JSON, paths from the root', async t => {
  const { repo, digest } = await storeFolder(t)
  const document = await cairnJson(['ls', 'app:etc'], { repo })
  t.match(document, { digest, path: 'etc' })
  t.match(document['entries'], [
    { path: 'etc/name', kind: 'regular', permissions: '0644', size: 5, xattrs: 0 },
    { path: 'etc/other-name', kind: 'regular' },
  ])
  t.match(await list(['app:link'], repo), [{ kind: 'symlink', target: 'etc/name' }])
})

async function list(args: readonly string[], repo: string) {
  const document = await cairnJson(['ls', ...args], { repo })
  return document['entries'] as readonly Record<string, unknown>[]
}
