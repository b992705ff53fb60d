import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** The raw connection behind a request that asked to upgrade. */
export type Upgradable = { readonly socket: Duplex; readonly head: Buffer }

// Exactly the bytes that the original program sends.
const upgradeReply =
  'HTTP/1.1 101 UPGRADED\r\n' +
  'Content-Type: application/vnd.docker.raw-stream\r\n' +
  'Connection: Upgrade\r\n' +
  'Upgrade: tcp\r\n' +
  '\r\n'

/** Whether a request asks to change to the raw stream of version 1. */
export function asksForStream(request: IncomingMessage): boolean {
  const { upgrade = '', connection = '' } = request.headers
  const tokens = connection.toLowerCase().split(/\s*,\s*/)
  return upgrade.toLowerCase() === 'tcp' && tokens.includes('upgrade')
}

/** Whether a request announces a body, which cannot stand in front of a raw stream. */
export function hasBody(request: IncomingMessage): boolean {
  const { 'content-length': length = '0' } = request.headers
  return Number(length) !== 0 || request.headers['transfer-encoding'] !== undefined
}

/**
 * Makes an ordinary response for a request that came with an upgrade, which Node leaves to
 * us whole: a refusal then takes the same way as that of any other request.
 */
export function makeResponse(request: IncomingMessage, socket: Duplex): ServerResponse {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  // It takes any socket that can be written to, also one of TLS.
  response.assignSocket(socket as Parameters<ServerResponse['assignSocket']>[0])
  // Not detached: the response hears of its end from the socket.
  response.once('finish', () => socket.end(() => socket.destroy()))
  return response
}

/** Accepts an upgrade: the connection is raw from here on, with all that came behind the request. */
export function acceptUpgrade(
  response: ServerResponse,
  { socket, head }: Upgradable,
): void {
  response.detachSocket(socket as Parameters<ServerResponse['detachSocket']>[0])
  // From here on PeerWatch decides how long a peer may be silent.
  response.req.socket.setTimeout(0)
  if (head.length > 0) socket.unshift(head)
  socket.write(upgradeReply)
}
