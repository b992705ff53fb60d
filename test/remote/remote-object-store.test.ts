import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import t from 'tap'
import { encodeDescriptor } from '../../lib/object/descriptor.js'
import { parseTagName } from '../../lib/object/tag-name.js'
import { RemoteObjectStore } from '../../lib/remote/remote-object-store.js'
import { forge } from '../support/forged-peer.js'
import { beginSession, goldenObjects, makeStore } from '../support/golden-store.js'
import { bytesFrom, loadTranscript } from '../support/golden-transcript.js'
import { loadGoldenTree } from '../support/golden-tree.js'
import { Inbox, splitHead, startRawServer } from '../support/replay-socket.js'

const { application, tagName } = loadGoldenTree()
const recorded = bytesFrom(loadTranscript('fetch-empty').connections[1] ?? [], 'server')
const pushed = parseTagName('pushed')

function answer(status: string, body: string | Buffer = '', headers = ''): Buffer {
  const bytes = Buffer.from(body)
  return Buffer.concat([
    Buffer.from(
      `HTTP/1.1 ${status}\r\nContent-Length: ${bytes.length}\r\n${headers}\r\n`,
    ),
    bytes,
  ])
}

/** A server that gives every connection the same bytes when a request has come. */
function answering(bytes: Buffer) {
  return startRawServer(async socket => {
    const inbox = new Inbox(socket)
    await inbox.until(received => received.includes('\r\n\r\n'))
    socket.end(bytes)
    await inbox.ended
  })
}

t.test('refuses addresses that are not plain http or https', async t => {
  for (const url of ['ftp://host/', 'host:80', 'http://u:p@host/', 'http://h/?x', '']) {
    t.throws(() => new RemoteObjectStore(url), { code: 'invalid_argument' })
  }
})

t.test('tells the status of any other answer, and follows no redirect', async t => {
  const store = await makeStore(goldenObjects())
  const answers = [
    ['500 Internal Server Error', ''],
    ['301 Moved', 'Location: http://127.0.0.1:1/\r\n'],
    ['426 Upgrade Required', 'Upgrade: tcp\r\nConnection: Upgrade\r\n'],
    ['403 Forbidden', ''],
    ['200 OK', ''],
  ] as const
  for (const [line, headers] of answers) {
    const status = Number(line.slice(0, 3))
    await using server = await answering(answer(line, 'because\x1b[2J', headers))
    await using remote = new RemoteObjectStore(server.url)
    const expected = {
      code: 'remote_refused',
      facts: { status },
      message: /because\\x1b\[2J/,
    }
    await using session = await beginSession(store)
    const fetching = remote.fetch(application, session, { published: store })
    await t.rejects(fetching, expected, `fetch ${status}`)
    await t.rejects(remote.push(application, store), expected, `push ${status}`)
    if (status === 200) continue
    await t.rejects(remote.findTag('x'), expected, `get-tag ${status}`)
    await t.rejects(remote.listTags(), expected, `list-tags ${status}`)
  }
})

t.test('tells what a problem document says, not the document', async t => {
  for (const [body, message] of [
    [
      '{"status":403,"detail":"read\\u001b[2J only"}\n',
      /status 403: read\\x1b\[2J only$/,
    ],
    ['{"title":"Conflict","code":"x_y"}', /status 403: Conflict \(x_y\)$/],
    ['{"title":"Conflict"}', /status 403: Conflict$/],
    ['null\n', /status 403: null$/],
    ['[1]', /status 403: \[1\]$/],
    ['404 page\r\n', /status 403: 404 page$/],
    ['', /status 403$/],
  ] as const) {
    await using server = await answering(answer('403 Forbidden', body))
    await using remote = new RemoteObjectStore(server.url)
    await t.rejects(remote.findTag('x'), { code: 'remote_refused', message }, body)
  }
})

t.test('takes only an empty 404 for an absent tag', async t => {
  await using absent = await answering(answer('404 Not Found'))
  await using one = new RemoteObjectStore(absent.url)
  t.equal(await one.findTag('x'), undefined)
  await using nowhere = await answering(answer('404 Not Found', '404 page not found\n'))
  await using other = new RemoteObjectStore(nowhere.url)
  await t.rejects(other.findTag('x'), { code: 'remote_refused', facts: { status: 404 } })
})

t.test('refuses bodies that are too long, short, or no descriptor', async t => {
  const descriptor = encodeDescriptor(application)
  const bodies = [
    [Buffer.alloc(129), 'limit_exceeded'],
    [Buffer.alloc(0), 'invalid_object'],
    [descriptor.subarray(1), 'invalid_object'],
    [Buffer.concat([descriptor, Buffer.of(0)]), 'invalid_object'],
  ] as const
  for (const [body, code] of bodies) {
    await using server = await answering(answer('200 OK', body))
    await using remote = new RemoteObjectStore(server.url)
    await t.rejects(remote.getTag('x'), { code })
  }
  const endless = Buffer.concat([
    Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n'),
    Buffer.alloc(17 * 1024 * 1024),
  ])
  await using server = await answering(endless)
  await using remote = new RemoteObjectStore(server.url)
  await t.rejects(remote.listTags(), { code: 'limit_exceeded' })
})

t.test('refuses tag lists that lie about counts and lengths', async t => {
  const lies = ['ffffffff', '01000000ffffffff', '010000000100000041', '0000000000']
  for (const hex of lies) {
    await using server = await answering(answer('200 OK', Buffer.from(hex, 'hex')))
    await using remote = new RemoteObjectStore(server.url)
    await t.rejects(remote.listTags(), { code: 'invalid_object' })
  }
})

t.test('tells refused connections, garbage and early ends from refusals', async t => {
  await using gone = await answering(Buffer.alloc(0))
  const store = await makeStore(goldenObjects())
  for (const bytes of ['', 'garbage\r\n\r\n', 'HTTP/1.1 101 SWITCH']) {
    await using server = await answering(Buffer.from(bytes))
    await using remote = new RemoteObjectStore(server.url)
    await t.rejects(remote.findTag('x'), { code: 'connection_lost' })
    await t.rejects(remote.push(application, store), { code: 'connection_lost' })
  }
  await gone[Symbol.asyncDispose]()
  await using remote = new RemoteObjectStore(gone.url)
  await t.rejects(remote.findTag('x'), { code: 'connection_lost', message: /REFUSED/ })
  await t.rejects(remote.push(application, store), { code: 'connection_lost' })
})

t.test('keeps bytes that are glued to the 101', async t => {
  await using server = await startRawServer(async socket => {
    const inbox = new Inbox(socket)
    await inbox.until(bytes => bytes.includes('\r\n\r\n'))
    // All at once, before anything of the stream was read.
    socket.end(recorded)
    await inbox.ended
  })
  await using remote = new RemoteObjectStore(server.url)
  const store = await makeStore([])
  await using session = await beginSession(store)
  const received = await remote.fetch(application, session, { published: store })
  t.equal(received.objects, 35)
})

t.test('gives up on silent servers, before and after the 101', async t => {
  const store = await makeStore(goldenObjects())
  const options = { idleTimeoutMs: 100 }
  await using silent = await startRawServer(socket => void socket.resume())
  await using one = new RemoteObjectStore(silent.url, options)
  await t.rejects(one.findTag('x'), { code: 'timed_out' })
  await t.rejects(one.push(application, store), { code: 'timed_out' })
  await using upgraded = await startRawServer(socket => {
    socket.resume()
    socket.write(splitHead(recorded).head)
  })
  await using other = new RemoteObjectStore(upgraded.url, options)
  await t.rejects(other.push(application, store), { code: 'timed_out' })
  const empty = await makeStore([])
  await using session = await beginSession(empty)
  await t.rejects(other.fetch(application, session, { published: empty }), {
    code: 'timed_out',
  })
})

t.test('stops at once when the signal aborts, wherever it is', async t => {
  const store = await makeStore(goldenObjects())
  await using silent = await startRawServer(socket => void socket.resume())
  await using remote = new RemoteObjectStore(silent.url)
  const reason = new Error('enough')
  const calls: readonly ((signal: AbortSignal) => Promise<unknown>)[] = [
    signal => remote.findTag('x', { signal }),
    signal => remote.push(application, store, { signal }),
  ]
  for (const start of calls) {
    await t.rejects(start(AbortSignal.abort(reason)), reason)
    const controller = new AbortController()
    const running = start(controller.signal)
    setTimeout(() => controller.abort(reason), 20)
    await t.rejects(running, reason)
  }
})

t.test('shows only the start of a long refusal of an upgrade', async t => {
  const store = await makeStore(goldenObjects())
  await using server = await answering(answer('500 Oops', 'x'.repeat(100_000)))
  await using remote = new RemoteObjectStore(server.url)
  await t.rejects(remote.push(application, store), {
    code: 'remote_refused',
    facts: { status: 500 },
    message: /: x{512}$/,
  })
})

t.test('refuses to push or tag what is no application', async t => {
  const file = forge('file', Buffer.from('bare'))
  const store = await makeStore([{ type: 'file', payload: file.payload }])
  await using remote = new RemoteObjectStore('http://127.0.0.1:1')
  await t.rejects(remote.push(file.descriptor, store, { tag: pushed }), {
    code: 'wrong_object_type',
  })
  await t.rejects(remote.findTag('../x'), { code: 'invalid_tag_name' })
})

t.test('drops nothing of the path of its address', async t => {
  const requests: string[] = []
  await using server = await startRawServer(async socket => {
    const inbox = new Inbox(socket)
    await inbox.until(bytes => bytes.includes('\r\n\r\n'))
    requests.push(inbox.bytes.toString().split('\r\n')[0] ?? '')
    socket.end(answer('404 Not Found'))
  })
  for (const path of ['', '/', '/team/app', '/team/app/']) {
    await using remote = new RemoteObjectStore(server.url + path)
    await remote.findTag('x')
  }
  const query = '?service=get-tag&tag=x HTTP/1.1'
  t.same(requests, [
    `GET /${query}`,
    `GET /${query}`,
    `GET /team/app${query}`,
    `GET /team/app/${query}`,
  ])
})

t.test('fetches over https from a server whose certificate it trusts', async t => {
  const folder = t.testdir()
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const subject = '-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1'
  const command = `req -x509 -newkey rsa:2048 -nodes -keyout ${key} -out ${cert} ${subject}`
  const { status } = spawnSync('openssl', command.split(' '), { stdio: 'ignore' })
  if (status !== 0) {
    t.pass('skipped: no openssl to make a certificate')
    return
  }
  const server = createTlsServer(
    { key: readFileSync(key), cert: readFileSync(cert) },
    socket => {
      socket.on('error', () => socket.destroy())
      const inbox = new Inbox(socket)
      void inbox
        .until(bytes => bytes.includes('\r\n\r\n'))
        .then(() => {
          const isUpgrade = inbox.bytes.includes('serve-objects')
          const tag = answer('200 OK', encodeDescriptor(application))
          return socket.end(isUpgrade ? recorded : tag)
        })
    },
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  await using trusting = new RemoteObjectStore(url, { ca: readFileSync(cert) })
  t.same(await trusting.getTag(tagName), application)
  const store = await makeStore([])
  await using session = await beginSession(store)
  const received = await trusting.fetch(application, session, { published: store })
  t.equal(received.objects, 35)
  await using careful = new RemoteObjectStore(url)
  await t.rejects(careful.getTag(tagName), { code: 'connection_lost' })
})
