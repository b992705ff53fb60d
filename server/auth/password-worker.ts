import { parentPort } from 'node:worker_threads'
import { compareSync, truncates } from 'bcryptjs'

/** A password to be compared with a hash. */
export type PasswordQuestion = {
  readonly id: number
  readonly password: string
  readonly hash: string
}

/** Whether they fit. */
export type PasswordAnswer = { readonly id: number; readonly fits: boolean }

parentPort?.on('message', ({ id, password, hash }: PasswordQuestion) => {
  // Beyond 72 bytes the hash would take any rest.
  const fits = !truncates(password) && compareSync(password, hash)
  const answer: PasswordAnswer = { id, fits }
  parentPort?.postMessage(answer)
})
