import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isAllowed } from '../../cli/quickstart/allowed-difference.js'
import { findSampleFolder } from '../../cli/quickstart/sample-folder.js'
import type { LeftOutKind } from '../../lib/tree/checkout/left-out.js'
import { cairn } from '../support/run-cairn.js'
import { storeFolder } from '../support/stored-folder.js'

t.test('quickstart does the main job and proves that the copy is identical', async t => {
  const { source, folder } = await storeFolder(t)
  const temporary = join(folder, 'temporary')
  mkdirSync(temporary)
  const run = await cairn(['quickstart', source], { env: { TMPDIR: temporary } })
  t.equal(run.code, 0, run.stderr)
  for (const command of ['init', 'store', 'serve', 'push', 'pull', 'fsck', 'checkout']) {
    t.match(run.stdout, new RegExp(`^\\$ cairn ${command} `, 'm'))
  }
  t.match(run.stdout, /digest of the copy: +0a[0-9a-f]{64}: the same\n/)
  t.match(run.stdout, /\(types, permissions, owners, .*\): 0 differences\nidentical\n$/)
  t.same(readdirSync(temporary), [], 'nothing is left behind')
})

t.test('quickstart reports a failed step and leaves nothing behind', async t => {
  const temporary = t.testdir()
  const run = await cairn(['quickstart', temporary, '--json'], {
    env: { TMPDIR: temporary },
  })
  t.equal(run.code, 1)
  t.match(JSON.parse(run.stderr), {
    error: { code: 'step_failed', facts: { exitCode: 2, command: /^cairn store / } },
  })
  t.same(readdirSync(temporary), [])
})

t.test('quickstart refuses what is no folder before it does anything', async t => {
  const run = await cairn(['quickstart', '/nonexistent'])
  t.equal(run.code, 9)
  t.equal(run.stdout, '')
  t.match(run.stderr, /^cairn: cannot store \/nonexistent: [^\n]*\n$/)
})

t.test('quickstart finds a folder of this system', async t => {
  t.ok(statSync(findSampleFolder()).isDirectory())
})

t.test('excuses only what was said to be left out', async t => {
  const source = t.testdir({ file: '' })
  const allowed = (
    part: Parameters<typeof isAllowed>[0]['part'],
    leftOut: LeftOutKind[],
    [expected, found]: [string, string] = ['', ''],
  ) =>
    isAllowed(
      { path: Buffer.from('file'), part, expected, found },
      new Set(leftOut),
      Buffer.from(source),
    )
  t.equal(allowed('owner', ['owner']), true)
  t.equal(allowed('owner', []), false)
  t.equal(allowed('permissions', ['set-id'], ['4755', '0755']), true)
  t.equal(allowed('permissions', ['set-id'], ['4755', '0700']), false)
  t.equal(allowed('permissions', [], ['4755', '0755']), false)
  const pairs: [string, string] = ['security.capability=01 user.a=02', 'user.a=02']
  t.equal(allowed('xattrs', ['security-xattr'], pairs), true)
  t.equal(allowed('xattrs', ['trusted-xattr'], pairs), false)
  t.equal(allowed('hard-links', ['hard-link']), true)
  t.equal(allowed('missing', ['device', 'fifo', 'socket']), false)
  t.equal(allowed('content', ['owner']), false)
})
