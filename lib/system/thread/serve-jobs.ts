import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { packError } from './carried-error.js'
import {
  isRaised,
  type SharedFlag,
  type ThreadOrder,
  type ThreadReply,
  type ThreadStart,
} from './thread-message.js'

/** What a thread does. */
export type JobServer<Job, Answer> = {
  /**
   * Works off one job; what it throws is thrown by `JobThread.run`. Jobs come one at a
   * time, in order. A long one calls `checkpoint` now and then, which throws when the
   * answer is not wanted any more.
   */
  readonly answer: (job: Job, checkpoint: () => void) => Answer | Promise<Answer>
  /** Gives back what the thread holds, after the last job. */
  readonly end?: () => void
}

/**
 * Makes the thread that runs this one that serves the jobs of a `JobThread`; called once,
 * by the file that the thread was started with. What `prepare` throws, every job throws.
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- as at JobThread
export function serveJobs<Job, Answer, Data = undefined>(
  prepare: (data: Data) => JobServer<Job, Answer> | Promise<JobServer<Job, Answer>>,
): void {
  if (parentPort === null) throw new Error('only a thread can serve jobs')
  const port = parentPort
  const { data, ending } = workerData as ThreadStart
  const prepared = Promise.resolve(data as Data).then(prepare)
  // The jobs tell, and there may be none.
  let work: Promise<unknown> = prepared.catch(() => undefined)

  const serve = async (job: Job, cancelled: SharedFlag | undefined): Promise<void> => {
    const checkpoint = (): void => {
      if (isRaised(ending)) throw new Error('the thread was asked to end')
      if (cancelled !== undefined && isRaised(cancelled)) throw new Error('cancelled')
    }
    await reply(port, async () => {
      checkpoint()
      return (await prepared).answer(job, checkpoint)
    })
  }
  const end = async (): Promise<void> => {
    const server = await prepared.catch(() => undefined)
    server?.end?.()
    port.close()
  }
  port.on('message', (order: ThreadOrder) => {
    work = work.then(async () =>
      order.kind === 'end' ? end() : serve(order.job as Job, order.cancelled),
    )
  })
}

async function reply(port: MessagePort, action: () => Promise<unknown>): Promise<void> {
  try {
    port.postMessage({ kind: 'answer', answer: await action() } satisfies ThreadReply)
  } catch (error) {
    try {
      port.postMessage({ kind: 'failure', error: packError(error) } satisfies ThreadReply)
    } catch (unfit) {
      // Something in its fields is only of this thread.
      port.postMessage({ kind: 'failure', error: packError(unfit) } satisfies ThreadReply)
    }
  }
}
