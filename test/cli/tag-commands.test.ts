import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { cairn, cairnJson } from '../support/run-cairn.js'
import { storeFolder } from '../support/stored-folder.js'

t.test('tag list shows names, digests and sizes in byte order', async t => {
  const { repo, digest } = await storeFolder(t)
  await cairn(['tag', 'set', 'Zeta', 'app'], { repo })
  const { stdout } = await cairn(['tag', 'list'], { repo })
  t.match(stdout, new RegExp(`^Zeta  ${digest}  \\S+ B\napp   ${digest}  \\S+ B\n$`))
  t.match(await cairnJson(['tag', 'list'], { repo }), {
    tags: [
      { name: 'Zeta', digest, type: 'application' },
      { name: 'app', digest },
    ],
    skipped: [],
  })
})

t.test('tag list warns of files that are no tags', async t => {
  const { repo } = await storeFolder(t)
  writeFileSync(join(repo, 'refs/tags/broken'), 'x')
  const run = await cairn(['tag', 'list'], { repo })
  t.equal(run.code, 0)
  t.match(run.stderr, /^warning: .*refs\/tags\/broken is passed over: /)
  const document = await cairnJson(['tag', 'list'], { repo })
  t.match(document['skipped'], [{ name: 'broken', path: /refs\/tags\/broken$/ }])
})

t.test('tag set, log, restore and remove tell what they did', async t => {
  const { repo, source, digest } = await storeFolder(t)
  const created = await cairnJson(['tag', 'set', 'stable', 'app'], { repo })
  t.match(created, { tag: 'stable', digest, before: null })
  writeFileSync(join(source, 'new'), 'new')
  const second = await cairn(['store', source, '--quiet'], { repo })
  const next = second.stdout.trim()
  const moved = await cairnJson(['tag', 'set', 'stable', next.slice(0, 12)], { repo })
  t.match(moved, { digest: next, before: { digest } })

  const log = await cairnJson(['tag', 'log', 'stable'], { repo })
  t.match(log, {
    tag: 'stable',
    entries: [
      { n: 0, kind: 'set', old: digest, new: next, sequence: 2 },
      { n: 1, kind: 'set', old: null, new: digest, who: /@/, message: 'tag set app' },
    ],
  })
  const text = await cairn(['tag', 'log', 'stable'], { repo })
  t.match(text.stdout, new RegExp(`^0  \\d{4}-.*Z  set  ${next}  .*\n1  `))

  const restored = await cairnJson(['tag', 'restore', 'stable@{1}'], { repo })
  t.match(restored, { tag: 'stable', digest, before: { digest: next } })
  const removed = await cairnJson(['tag', 'remove', 'stable'], { repo })
  t.match(removed, { tag: 'stable', before: { digest } })
  t.equal((await cairn(['show', 'stable'], { repo })).code, 3)
  t.match(await cairnJson(['tag', 'restore', 'stable@{1}'], { repo }), { digest })
})

t.test('protected tags stay until the protection is overridden', async t => {
  const { repo, source, digest } = await storeFolder(t)
  t.same(await cairnJson(['tag', 'protect', 'app*'], { repo }), {
    pattern: 'app*',
    added: true,
  })
  t.equal((await cairn(['tag', 'protected'], { repo })).stdout, 'app*\n')
  writeFileSync(join(source, 'new'), 'new')
  const moved = await cairn(['store', source, '-t', 'app', '--json'], { repo })
  t.equal(moved.code, 4)
  t.match(JSON.parse(moved.stderr), { error: { code: 'tag_protected' } })
  const removed = await cairn(['tag', 'remove', 'app'], { repo })
  t.equal(removed.code, 4)
  t.match(removed.stderr, /protected by "app\*".*cairn tag protected/)
  t.match(await cairnJson(['tag', 'list'], { repo }), { tags: [{ name: 'app', digest }] })
  const forced = await cairn(['tag', 'remove', 'app', '--override-protection'], { repo })
  t.equal(forced.code, 0)
  t.equal((await cairn(['tag', 'unprotect', 'app*'], { repo })).code, 0)
  t.equal((await cairn(['tag', 'unprotect', 'app*'], { repo })).code, 2)
})

t.test('tag commands refuse what they cannot do', async t => {
  const { repo } = await storeFolder(t)
  const root = await cairnJson(['show', 'app'], { repo })
  const { digest: directory } = root['rootDirectory'] as { digest: string }
  for (const [args, code, message] of [
    [['set', '../evil', 'app'], 2, /invalid tag name/],
    [['set', 'a'.repeat(129), 'app'], 2, /invalid tag name/],
    [['set', 'new', 'none'], 3, /no tag and no object "none" .*|expected a tag/],
    [['set', 'new', directory], 5, /expected an application, found a directory/],
    [['remove', 'none'], 3, /no tag none \(see the tags with: cairn tag list\)/],
    [['log', 'none'], 3, /no tag none/],
    [['restore', 'app@{7}'], 3, /no app@\{7\}/],
    [['restore', 'app'], 2, /expected TAG@\{n\}, found "app"/],
  ] as const) {
    const run = await cairn(['tag', ...args], { repo })
    t.equal(run.code, code, args.join(' '))
    t.match(run.stderr, message)
  }
})

t.test('names for completion make no repository', async t => {
  const { repo } = await storeFolder(t)
  await cairn(['remote', 'add', 'origin', 'http://127.0.0.1:1/x'], { repo })
  t.equal((await cairn(['__complete', 'tags'], { repo })).stdout, 'app\n')
  t.equal((await cairn(['__complete', 'remotes'], { repo })).stdout, 'origin\n')
  const home = t.testdir()
  const none = await cairn(['__complete', 'tags'], { home })
  t.equal(none.stdout, '')
  t.equal(none.code, 0)
  t.equal((await cairn(['completion', 'bash'], { home })).code, 0)
  t.match(await cairnJson(['completion', 'fish'], { home }), {
    shell: 'fish',
    script: /complete -c cairn/,
  })
})
