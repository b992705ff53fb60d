import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Side, TranscriptEvent } from './golden-transcript.js'

const headEnd = '\r\n\r\n'

/** What came from the other side: its HTTP head, and the bytes behind it. */
export type Received = { readonly head: string; readonly body: Buffer }

/** Splits bytes behind their first empty line. */
export function splitHead(bytes: Buffer): Received {
  const end = bytes.indexOf(headEnd)
  if (end < 0) return { head: bytes.toString('latin1'), body: Buffer.alloc(0) }
  const start = end + headEnd.length
  return { head: bytes.toString('latin1', 0, start), body: bytes.subarray(start) }
}

/**
 * Plays one side of a recorded connection: sends its bytes, each time after as many bytes
 * have come from the other side as in the recording. Heads may differ in length.
 */
async function playSide(
  socket: Socket,
  events: readonly TranscriptEvent[],
  side: Side,
): Promise<Received> {
  const inbox = new Inbox(socket)
  const expected: Buffer[] = []
  for (const event of events) {
    if (event.from === side) {
      if (event.kind === 'end') socket.end()
      else socket.write(event.bytes)
    } else if (event.kind === 'data') {
      expected.push(event.bytes)
      const { body } = splitHead(Buffer.concat(expected))
      await inbox.until(received => {
        const isHeadThere = received.includes(headEnd)
        return isHeadThere && splitHead(received).body.length >= body.length
      })
    }
  }
  socket.end()
  await inbox.ended
  return splitHead(inbox.bytes)
}

/** Connects to a port and plays the client of a recorded connection. */
export async function playClient(
  port: number,
  events: readonly TranscriptEvent[],
): Promise<Received> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  await once(socket, 'connect')
  return playSide(socket, events, 'client')
}

/** A server that plays one recorded connection after the other. */
export type ScriptedServer = AsyncDisposable & {
  readonly url: string
  /** What each connection received, once it is over. */
  readonly received: readonly Promise<Received>[]
}

/** Starts a server that plays the server of recorded connections, in order. */
export async function startScriptedServer(
  connections: readonly (readonly TranscriptEvent[])[],
): Promise<ScriptedServer> {
  const received: Promise<Received>[] = []
  return startRawServer(async (socket, index) => {
    const played = playSide(socket, connections[index] ?? [], 'server')
    received.push(played)
    await played
  }, received)
}

/** Starts a server whose connections a function handles, raw. */
export async function startRawServer(
  handle: (socket: Socket, index: number) => Promise<void> | void,
  received: readonly Promise<Received>[] = [],
): Promise<ScriptedServer> {
  const sockets = new Set<Socket>()
  let index = 0
  const server = createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
    void handle(socket, index++)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Collects what a socket receives. */
export class Inbox {
  readonly ended: Promise<void>
  #chunks: Buffer[] = []
  #wake: (() => void) | undefined
  #isEnded = false

  constructor(socket: Socket) {
    socket.on('data', chunk => {
      this.#chunks.push(chunk)
      this.#wake?.()
    })
    this.ended = new Promise(resolve => {
      const end = (): void => {
        this.#isEnded = true
        this.#wake?.()
        resolve()
      }
      socket.on('end', end)
      socket.on('close', end)
      socket.on('error', end)
    })
  }

  get bytes(): Buffer {
    const all = Buffer.concat(this.#chunks)
    this.#chunks = [all]
    return all
  }

  /** Waits until the bytes so far satisfy a condition, or no more come. */
  async until(condition: (bytes: Buffer) => boolean): Promise<void> {
    while (!condition(this.bytes) && !this.#isEnded) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }
}
