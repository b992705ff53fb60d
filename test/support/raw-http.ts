import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Inbox, splitHead } from './replay-socket.js'

/** An answer, as bytes have it. */
export type RawAnswer = {
  readonly status: number
  readonly head: string
  readonly body: Buffer
}

/** Sends one raw request on a connection of its own, and reads until the server closes it. */
export async function sendRaw(port: number, bytes: string | Buffer): Promise<RawAnswer> {
  const socket = await connectTo(port)
  const inbox = new Inbox(socket)
  socket.write(bytes)
  await inbox.ended
  return parseAnswer(inbox.bytes)
}

/** A request line with headers; the connection is closed by the answer. */
export function rawRequest(
  target: string,
  { method = 'GET', headers = [] }: { method?: string; headers?: readonly string[] } = {},
): string {
  const lines = [
    `${method} ${target} HTTP/1.1`,
    'Host: test',
    ...(headers.length > 0 ? headers : ['Connection: close']),
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** The upgrade request of the original program. */
export function upgradeRequest(target: string): string {
  return rawRequest(target, {
    method: 'POST',
    headers: ['Content-Length: 0', 'Connection: Upgrade', 'Upgrade: tcp'],
  })
}

/** An upgraded connection, past its reply. */
export type RawStream = AsyncDisposable & {
  readonly socket: Socket
  /** All bytes behind the head of the reply. */
  readonly received: () => Buffer
  /** Waits for that many of them, or the end. */
  readonly until: (count: number) => Promise<Buffer>
  /** Waits for the end. */
  readonly ended: Promise<void>
}

/** Upgrades; throws when the answer is not 101. */
export async function openRawStream(port: number, target: string): Promise<RawStream> {
  const socket = await connectTo(port)
  const inbox = new Inbox(socket)
  socket.write(upgradeRequest(target))
  await inbox.until(bytes => bytes.includes('\r\n\r\n'))
  const { status } = parseAnswer(inbox.bytes)
  if (status !== 101) throw new Error(`expected an upgrade, found status ${status}`)
  const received = (): Buffer => splitHead(inbox.bytes).body
  return {
    socket,
    received,
    until: async count => {
      await inbox.until(bytes => splitHead(bytes).body.length >= count)
      return received()
    },
    ended: inbox.ended,
    [Symbol.asyncDispose]: async () => {
      socket.destroy()
    },
  }
}

async function connectTo(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  await once(socket, 'connect')
  socket.on('error', () => socket.destroy())
  return socket
}

function parseAnswer(bytes: Buffer): RawAnswer {
  const { head, body } = splitHead(bytes)
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0), head, body }
}
