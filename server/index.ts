export {
  type CairnServer,
  createServer,
  type ServerOptions,
} from './cairn-server.js'
export { formatLogEntry, type LogEntry, type Logger } from './log-entry.js'
