import { parentPort } from 'node:worker_threads'
import { PeerConnection } from '../../lib/remote/peer-connection.js'
import { receiveObjects } from '../../lib/remote/receive-objects.js'
import { makeDuplexPair } from './duplex-pair.js'
import { forgeApplication, forgeChain, forgeHeader, serveForged } from './forged-peer.js'
import { beginSession, makeStore } from './golden-store.js'

// Receives 100,000 nested directories and posts how many objects came. In a worker,
// because the test runner traces every promise of its own thread.

const header = forgeHeader()
const chain = forgeChain(header, 100_000)
const [root] = chain.slice(-1)
if (root === undefined) throw new Error('the chain is empty')
const application = forgeApplication(header, root)
const store = await makeStore([])
const [ours, theirs] = makeDuplexPair()
const serving = serveForged(theirs, [application, header, ...chain])
await using session = await beginSession(store)
await using peer = new PeerConnection(ours)
await receiveObjects(peer, application.descriptor, session, { published: store })
await serving
let count = 0
for await (const batch of store.list()) count += batch.length
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- no window
parentPort?.postMessage(count)
