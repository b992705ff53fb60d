import type { IncomingMessage, ServerResponse } from 'node:http'

// So long a client may go on sending what was refused, while it takes in the answer.
const lingerMs = 2000

/**
 * Prepares an answer to a request whose body is not wanted: the connection ends with it,
 * but only when the client has seen it or a while has passed.
 *
 * A connection that is closed with bytes unread is reset by the system, and the client may
 * lose the answer.
 */
export function refuseBody(request: IncomingMessage, response: ServerResponse): void {
  if (request.complete) return
  const { socket } = request
  response.setHeader('Connection', 'close')
  // Node calls this at the end of the answer, and it would close at once.
  socket.destroySoon = () => {
    const patience = setTimeout(() => socket.destroy(), lingerMs)
    socket.once('close', () => clearTimeout(patience))
    request.once('end', () => socket.destroy())
    request.resume()
    socket.end()
  }
}
