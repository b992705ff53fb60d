import type { MemoryBudget } from '../lib/remote/memory-budget.js'
import type { Patience } from '../lib/remote/peer-watch.js'
import type { Admission } from './admission.js'
import type { Auditor } from './operations/audit-log.js'
import type { PrincipalAccounts } from './principal-accounts.js'
import type { RepositoryShelf } from './repository-shelf.js'
import type { EffectiveLimits } from './server-limits.js'
import type { StoredBytes } from './stored-bytes.js'
import type { TagLists } from './tag-lists.js'
import type { TransferSessions } from './transfer-sessions.js'

/** The rooms of a server, which its routes work with. */
export type ServerContext = {
  readonly shelf: RepositoryShelf
  readonly tagLists: TagLists
  readonly admission: Admission
  readonly sessions: TransferSessions
  readonly accounts: PrincipalAccounts
  readonly stored: StoredBytes
  readonly audit: Auditor
  readonly patience: Patience
  /** For clients that pull and have got something. */
  readonly settleTimeoutMs: number
  readonly memory: MemoryBudget
  /** They may change while the server runs. */
  readonly limits: () => EffectiveLimits
  readonly isClosing: () => boolean
}
