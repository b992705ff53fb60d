import { createServer } from '../../server/cairn-server.js'

// A server of its own process, so that its memory can be measured: serves the folder that
// is its argument, and prints its port.

const [root = '.'] = process.argv.slice(2)
const server = createServer({ root })
const { port } = await server.listen()
process.stdout.write(`${port}\n`)
process.once('SIGTERM', () => void server.close())
