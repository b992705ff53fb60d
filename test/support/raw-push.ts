import { once } from 'node:events'
import { connect } from 'node:net'
import { encodeDescriptor } from '../../lib/object/descriptor.js'
import { PeerConnection } from '../../lib/remote/peer-connection.js'
import { readWireItem } from '../../lib/remote/wire-item.js'
import type { ForgedObject } from './forged-peer.js'
import { rawRequest } from './raw-http.js'

// What a server answers to an upgrade, byte for byte.
const replyBytes = 109

/** A push that is under way; disposing drops the connection. */
export type RawPush = AsyncDisposable & {
  /** Serves wants from a table until one is not in it, done, or the server's close. */
  readonly serve: (
    objects: readonly ForgedObject[],
  ) => Promise<'unserved' | 'done' | 'closed'>
  readonly peer: PeerConnection
}

/** Begins a push by hand; throws when it is refused. */
export async function openRawPush(
  port: number,
  target: string,
  root: ForgedObject,
  headers: readonly string[] = [],
): Promise<RawPush> {
  const socket = connect({ port, host: '127.0.0.1' })
  await once(socket, 'connect')
  const peer = new PeerConnection(socket)
  const upgrade = ['Content-Length: 0', 'Connection: Upgrade', 'Upgrade: tcp']
  const request = rawRequest(target, {
    method: 'POST',
    headers: [...upgrade, ...headers],
  })
  await peer.write(Buffer.from(request))
  const reply = await peer.read(replyBytes, 'the reply')
  if (!reply.toString().startsWith('HTTP/1.1 101 ')) throw new Error(String(reply))
  await peer.write(encodeDescriptor(root.descriptor))
  return {
    peer,
    serve: async objects => {
      const table = new Map(
        objects.map(({ descriptor, payload }) => [String(descriptor.digest), payload]),
      )
      for (;;) {
        const item = await readWireItem(peer).catch(() => undefined)
        if (item === undefined) return 'closed'
        if (item.kind === 'done') return 'done'
        if (item.kind === 'skip') continue
        const payload = table.get(item.descriptor.digest)
        if (payload === undefined) return 'unserved'
        await peer.write(payload)
      }
    },
    [Symbol.asyncDispose]: async () => peer[Symbol.asyncDispose](),
  }
}
