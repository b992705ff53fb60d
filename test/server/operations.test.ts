import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import t, { type Test } from 'tap'
import { RemoteObjectStore } from '../../lib/remote/remote-object-store.js'
import { createServer } from '../../server/cairn-server.js'
import type { LogEntry } from '../../server/log-entry.js'
import { rule } from '../support/access-policy.js'
import { makeGoldenRepository } from '../support/golden-repository.js'
import { rawRequest, sendRaw } from '../support/raw-http.js'

type Identity = { readonly certificate: string; readonly key: string }

/** Makes a certificate that signs itself. */
function makeIdentity(t: Test, commonName: string): Identity {
  const folder = mkdtempSync(join(tmpdir(), 'cairn-identity-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const [key, certificate] = [join(folder, 'key'), join(folder, 'certificate')]
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
  const names = ['-subj', `/CN=${commonName}`, '-addext', 'subjectAltName=IP:127.0.0.1']
  const files = ['-nodes', '-days', '2', '-keyout', key, '-out', certificate]
  execFileSync('openssl', [...request, ...names, ...files], { stdio: 'ignore' })
  return {
    certificate: readFileSync(certificate, 'utf8'),
    key: readFileSync(key, 'utf8'),
  }
}

t.test('serves TLS, replaces its certificate, and knows clients by theirs', async t => {
  const [first, second] = [makeIdentity(t, 'first'), makeIdentity(t, 'second')]
  const [client, unknown] = [makeIdentity(t, 'build'), makeIdentity(t, 'build')]
  const root = t.testdir()
  await makeGoldenRepository(join(root, 'app'))
  const access = {
    rules: [rule('certificate:build', 'app', 'pull')],
    tokens: undefined,
    passwords: undefined,
  }
  const clientCa = client.certificate
  await using server = createServer({ root, access, tls: { ...first, clientCa } })
  const { port } = await server.listen()
  const url = `https://127.0.0.1:${port}/app`
  const ca = first.certificate
  await using known = new RemoteObjectStore(url, { ca, clientCertificate: client })
  t.equal((await known.listTags()).length, 1)
  await using stranger = new RemoteObjectStore(url, { ca })
  await t.rejects(stranger.listTags(), { code: 'remote_refused', message: /status 401/ })
  await using foreign = new RemoteObjectStore(url, { ca, clientCertificate: unknown })
  await t.rejects(foreign.listTags(), { code: 'remote_refused', message: /status 401/ })

  t.throws(() => server.reload({ access, tls: { ...first, key: second.key } }), {
    code: 'invalid_argument',
  })
  server.reload({ access, tls: { ...second, clientCa } })
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  t.equal(socket.getPeerCertificate().subject.CN, 'second')
  socket.destroy()
})

t.test('collects the garbage of its repositories while it serves', async t => {
  const root = t.testdir()
  const repository = await makeGoldenRepository(join(root, 'app'))
  let wake: ((entry: LogEntry) => void) | undefined
  const collected = new Promise<LogEntry>(resolve => {
    wake = resolve
  })
  await using server = createServer({
    root,
    maintenance: { everyMs: 1 },
    logger: entry => {
      if (/collect/.test(entry.message)) wake?.(entry)
    },
  })
  await server.listen()
  t.match(await collected, { level: 'info', message: 'collected', path: '/app' })
  const { port } = await server.listenForMetrics()
  const { body } = await sendRaw(port, rawRequest('/metrics'))
  t.match(String(body), /cairn_collections_total\{result="done"\} \d+\n/)
  t.equal((await repository.tags.list()).length, 1)
})
