import { compareSync, truncates } from 'bcryptjs'
import { serveJobs } from '../../lib/system/thread/serve-jobs.js'

/** A password to be compared with a hash. */
export type PasswordQuestion = { readonly password: string; readonly hash: string }

// Beyond 72 bytes the hash would take any rest.
serveJobs<PasswordQuestion, boolean>(() => ({
  answer: ({ password, hash }) => !truncates(password) && compareSync(password, hash),
}))
