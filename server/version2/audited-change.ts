import type { TagMove } from '../../lib/repository/tag-store.js'
import type { AuditEntry } from '../operations/audit-log.js'
import type { Version2Context, Version2Exchange } from './context.js'

/** What the audit log says of where a change came from. */
export function auditOrigin({
  principal,
  log,
  repositoryPath,
}: Version2Exchange): Pick<AuditEntry, 'who' | 'address' | 'request' | 'repository'> {
  return {
    who: principal.name,
    address: log.peer,
    request: log.id,
    repository: `/${repositoryPath.join('/')}`,
  }
}

/** Records that a tag was set, moved or removed; nothing for one that stayed. */
export async function recordMove(
  { audit }: Version2Context,
  exchange: Version2Exchange,
  { name, from, to }: TagMove,
): Promise<void> {
  const digests = { from: from?.digest ?? null, to: to?.digest ?? null }
  if (digests.from === digests.to) return
  const action = to === undefined ? 'tag-remove' : 'tag-set'
  await audit.record({ ...auditOrigin(exchange), action, tag: name, ...digests })
}
