import { setImmediate as turn } from 'node:timers/promises'

/** Long work that stops now and then, so that others have their turn; returns its result. */
export type Steps<Result> = Generator<void, Result, void>

/** Does the work in one go. */
export function runAtOnce<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/** Does the work with a turn of the event loop between its steps. */
export async function runInTurns<Result>(steps: Steps<Result>): Promise<Result> {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
    await turn()
  }
}
