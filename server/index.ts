export type { AccessRule, Who } from './auth/access-rules.js'
export type { AccessPolicy } from './auth/authenticate.js'
export { PasswordFile } from './auth/password-file.js'
export { TokenFile } from './auth/token-file.js'
export { createServer } from './cairn-server.js'
export { formatLogEntry, type LogEntry, type Logger } from './log-entry.js'
export type { MaintenanceSchedule } from './operations/maintenance.js'
export type { ServerLimits } from './server-limits.js'
export type {
  CairnServer,
  ListenOptions,
  ReloadableOptions,
  ServerOptions,
} from './server-options.js'
export type { TlsMaterial } from './tls.js'
