import type { TokenRecord } from '../server/auth/token-list.js'
import { AuditLog } from '../server/operations/audit-log.js'

/** Which files of a server are meant. */
export type TokenFlags = { readonly tokens: string; readonly auditLog?: string }

/** Opens the audit log that the flags name, if they name one; the caller disposes it. */
export function auditOf({ auditLog }: TokenFlags): AuditLog | undefined {
  return auditLog === undefined ? undefined : new AuditLog(auditLog)
}

/** A token as documents show it: without what could be used. */
export function tokenDocument(record: TokenRecord) {
  const { id, name, created, expires, revoked, grant } = record
  return {
    id,
    name,
    state: stateOf(record),
    created: textOf(created),
    expires: textOf(expires),
    revoked: textOf(revoked),
    actions: [...grant.actions],
    repositories: grant.repositories.map(({ text }) => text),
  }
}

function stateOf({ expires, revoked }: TokenRecord): 'valid' | 'expired' | 'revoked' {
  if (revoked !== undefined) return 'revoked'
  return expires !== undefined && expires <= Date.now() ? 'expired' : 'valid'
}

function textOf(time: number | undefined): string | null {
  return time === undefined ? null : new Date(time).toISOString()
}
