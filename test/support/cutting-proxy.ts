import { type AddressInfo, connect, createServer } from 'node:net'

/** A way to a server that counts what passes, and may be cut. */
export interface CuttingProxy extends AsyncDisposable {
  readonly url: string
  /** Bytes that passed towards the client and towards the server. */
  readonly passed: { down: number; up: number }
  /** Cuts every connection as soon as so many bytes more have passed in a direction. */
  cutAfter(direction: 'down' | 'up', bytes: number): void
  /** Lets everything pass again. */
  mend(): void
}

/** Starts a proxy on the loopback in front of a port of the loopback. */
export async function startCuttingProxy(port: number): Promise<CuttingProxy> {
  const passed = { down: 0, up: 0 }
  const limit = { down: Number.POSITIVE_INFINITY, up: Number.POSITIVE_INFINITY }
  const server = createServer(client => {
    const target = connect(port, '127.0.0.1')
    const end = (): void => {
      client.destroy()
      target.destroy()
    }
    const pass = (direction: 'down' | 'up') => (chunk: Buffer) => {
      const [from, to] = direction === 'up' ? [client, target] : [target, client]
      const rest = chunk.subarray(0, Math.max(0, limit[direction] - passed[direction]))
      passed[direction] += rest.length
      if (rest.length < chunk.length) {
        to.write(rest, end)
        from.pause()
      } else if (!to.write(rest)) {
        from.pause()
        to.once('drain', () => from.resume())
      }
    }
    client.on('data', pass('up'))
    target.on('data', pass('down'))
    for (const socket of [client, target]) socket.on('error', end).on('close', end)
  })
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port: own } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${own}`,
    passed,
    cutAfter(direction, bytes) {
      limit[direction] = passed[direction] + bytes
    },
    mend() {
      limit.down = Number.POSITIVE_INFINITY
      limit.up = Number.POSITIVE_INFINITY
    },
    async [Symbol.asyncDispose]() {
      await new Promise<void>(resolve => {
        server.close(() => resolve())
      })
    },
  }
}
