import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'

/** What came of a session that was cut after so many bytes of the other side. */
export type CutOff = {
  readonly length: number
  readonly side: 'receiver' | 'sender'
  /** An error code, or the kind of a result. */
  readonly outcome: string
  /** Objects that stayed in the receiver's store. */
  readonly kept: number
}

const url = new URL('../support/cut-off-worker.js', import.meta.url)
const [cutOffs] = (await once(new Worker(url, { execArgv: [] }), 'message')) as [CutOff[]]

t.test('the receiver keeps nothing of a session cut after any byte', async t => {
  const received = cutOffs.filter(({ side }) => side === 'receiver')
  t.ok(received.length > 17_000)
  const wrong = received.filter(
    ({ outcome, kept }) => outcome !== 'connection_lost' || kept > 0,
  )
  t.same(wrong, [])
})

t.test('the sender ends clearly when the wants are cut after any byte', async t => {
  const sent = cutOffs.filter(({ side }) => side === 'sender')
  t.ok(sent.length > 2800)
  // Nothing waits for the answers here, so some wants come before they are offered.
  const expected = ['broken-end', 'connection_lost', 'object_not_found']
  t.same(
    sent.filter(({ outcome }) => !expected.includes(outcome)),
    [],
  )
})
