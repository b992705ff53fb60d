import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { nodeCommand } from '../support/node-command.js'
import { cairn } from '../support/run-cairn.js'
import { storeFolder } from '../support/stored-folder.js'

const bundle = join(import.meta.dirname, '../../bin')

function run(repo: string, ...args: readonly string[]): string {
  const program = join(bundle, 'main.js')
  const [command, ...first] = nodeCommand
  const { status, stdout, stderr } = spawnSync(command, [...first, program, ...args], {
    encoding: 'utf8',
    env: { ...process.env, CAIRN_REPO: repo },
  })
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr}`)
  return stdout
}

t.test('the bundled program does what the modules do', async t => {
  const { folder, source, repo, digest } = await storeFolder(t)
  const { stdout: version } = await cairn(['--version'])
  t.equal(run(repo, '--version'), version)
  t.equal(run(repo, 'store', source, '-t', 'again'), `${digest}\n`)
  t.match(run(repo, 'tag', 'list'), /^again/m)
  t.match(JSON.parse(run(repo, 'fsck', '--json')), { errors: 0, findings: [] })
  run(repo, 'checkout', 'again', join(folder, 'copy'))
  t.equal(readFileSync(join(folder, 'copy/run'), 'utf8'), '#!/bin/sh\n')
})

t.test('the bundle has every file that it starts as a thread', t => {
  const found = readdirSync(bundle).flatMap(name => {
    const text = readFileSync(join(bundle, name), 'utf8')
    const places = text.matchAll(/new URL\("(?<path>\.[^"]+)", importMetaUrl\)/g)
    return [...places].map(place => place.groups?.['path'] ?? '')
  })
  t.ok(found.length > 2)
  for (const path of found) t.ok(existsSync(join(bundle, path)), path)
  t.end()
})
