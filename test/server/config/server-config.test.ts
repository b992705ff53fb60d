import { readFileSync } from 'node:fs'
import t from 'tap'
import { parseServerConfig } from '../../../server/config/server-config.js'

const operations = new URL('../../../../docs/operations.md', import.meta.url)

t.test('takes the example of the documentation, with its units', t => {
  const [, example = ''] =
    /```yaml\n(root: .*?)```/s.exec(readFileSync(operations, 'utf8')) ?? []
  const config = parseServerConfig(example, 'server.yaml')
  t.match(config, {
    root: '/srv/stores',
    listen: '[::]:8443',
    create: true,
    shutdownGraceMs: 60_000,
    transferMemoryBytes: 768 * 1024 ** 2,
    tls: { clientCa: '/etc/cairn/clients.pem' },
    limits: { bytesPerSecond: 50 * 1024 ** 2, totalBytes: 50 * 1024 ** 3 },
    log: { level: 'info', audit: '/var/log/cairn/audit.jsonl' },
    maintenance: { everyMs: 86_400_000, windowMs: 30 * 86_400_000 },
  })
  t.match(config.access?.rules, [
    { who: [{ kind: 'anonymous' }], grant: { actions: ['pull'] } },
    {
      who: [{ kind: 'user', name: 'alice' }, { kind: 'certificate' }],
      grant: { actions: ['pull', 'push', 'tag-move'] },
    },
  ])
  t.end()
})

t.test('takes an empty file, and refuses names that JavaScript knows', t => {
  t.same(parseServerConfig('', 'server.yaml'), {})
  t.same(parseServerConfig('# nothing\n', 'server.yaml'), {})
  for (const name of ['__proto__', 'constructor', 'toString']) {
    t.throws(() => parseServerConfig(`${name}: 1`, 'server.yaml'), {
      code: 'invalid_argument',
      message: /^server\.yaml:1:1: .*unknown key/,
    })
  }
  t.end()
})

t.test('refuses aliases, so that no small file becomes a large one', t => {
  const text = 'listen: &a "x"\nroot: *a\n'
  t.throws(() => parseServerConfig(text, 'server.yaml'), { code: 'invalid_argument' })
  t.end()
})
