import { parentPort } from 'node:worker_threads'
import { CairnError } from '../../lib/errors.js'
import { PeerConnection } from '../../lib/remote/peer-connection.js'
import { receiveObjects } from '../../lib/remote/receive-objects.js'
import { sendObjects } from '../../lib/remote/send-objects.js'
import type { CutOff } from '../remote/cut-off.test.js'
import { makeDuplexPair } from './duplex-pair.js'
import { beginSession, goldenObjects, makeStore } from './golden-store.js'
import { bytesFrom, loadTranscript } from './golden-transcript.js'
import { loadGoldenTree } from './golden-tree.js'
import { splitHead } from './replay-socket.js'

// Cuts a recorded session after every byte, on either side, and posts what came of each.
// In a worker, because the test runner traces every promise of its own thread.

const { application } = loadGoldenTree()
const events = loadTranscript('fetch-empty').connections.at(-1) ?? []

async function cutReceiver(bytes: Buffer): Promise<Omit<CutOff, 'length'>> {
  const store = await makeStore([])
  const [ours, theirs] = makeDuplexPair()
  theirs.resume()
  theirs.end(bytes)
  await using session = await beginSession(store)
  await using peer = new PeerConnection(ours)
  const receiving = receiveObjects(peer, application, session, { published: store })
  const outcome = await outcomeOf(receiving)
  await session[Symbol.asyncDispose]()
  let kept = 0
  for await (const batch of store.list()) kept += batch.length
  return { side: 'receiver', outcome, kept }
}

async function cutSender(bytes: Buffer): Promise<Omit<CutOff, 'length'>> {
  const [ours, theirs] = makeDuplexPair()
  theirs.resume()
  theirs.end(bytes)
  await using peer = new PeerConnection(ours)
  const served = { kind: 'closure', root: application } as const
  const outcome = await outcomeOf(sendObjects(peer, golden, { served }))
  return { side: 'sender', outcome, kept: 0 }
}

async function outcomeOf(running: Promise<object>): Promise<string> {
  try {
    const result = await running
    return 'kind' in result ? String(result.kind) : 'complete'
  } catch (error) {
    return error instanceof CairnError ? error.code : String(error)
  }
}

const golden = await makeStore(goldenObjects())
const objects = splitHead(bytesFrom(events, 'server')).body
const items = splitHead(bytesFrom(events, 'client')).body
const cutOffs: CutOff[] = []
for (let length = 0; length < objects.length; length++) {
  cutOffs.push({ length, ...(await cutReceiver(objects.subarray(0, length))) })
}
for (let length = 0; length < items.length; length++) {
  cutOffs.push({ length, ...(await cutSender(items.subarray(0, length))) })
}
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- no window
parentPort?.postMessage(cutOffs)
