import { SourceChangedError } from '../../errors.js'

/** Tries to see one entry in one state, before its change is an error. */
const maxAttempts = 4

/** Repeats what found an entry changing, a few times. */
export function retryWhileChanging<Result>(look: () => Result): Result {
  for (let attempt = 1; ; attempt++) {
    try {
      return look()
    } catch (error) {
      if (attempt === maxAttempts || !(error instanceof SourceChangedError)) throw error
    }
  }
}

/** As retryWhileChanging, for what takes its time. */
export async function retryLongWhileChanging<Result>(
  look: () => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await look()
    } catch (error) {
      if (attempt === maxAttempts || !(error instanceof SourceChangedError)) throw error
    }
  }
}
