import { LineCounter, parseDocument } from 'yaml'
import { InvalidArgumentError } from '../../lib/errors.js'
import { type AccessRule, parseWho } from '../auth/access-rules.js'
import { parseAction } from '../auth/grants.js'
import { parseRepositoryPattern } from '../auth/repository-pattern.js'
import type { ServerLimits } from '../server-limits.js'
import { ConfigNode } from './config-node.js'

/** What a configuration file of `cairn serve` says; what it leaves out is undefined. */
export type ServerConfig = {
  readonly root?: string
  readonly listen?: string
  readonly readOnly?: boolean
  readonly create?: boolean
  readonly allowAnonymousPush?: boolean
  readonly shutdownGraceMs?: number
  readonly tls?: TlsFiles
  readonly access?: AccessFiles
  readonly limits?: ServerLimits
  readonly transferMemoryBytes?: number
  readonly log?: { readonly audit?: string; readonly level?: 'info' | 'warn' | 'error' }
  readonly metrics?: { readonly listen?: string }
  readonly maintenance?: MaintenanceConfig
}

/** Files of keys and certificates, PEM. */
type TlsFiles = {
  readonly certificate: string
  readonly key: string
  readonly clientCa?: string
}

/** Who may do what. */
type AccessFiles = {
  readonly tokens?: string
  readonly passwords?: string
  readonly rules?: readonly AccessRule[]
}

/** Garbage collection while serving. */
type MaintenanceConfig = {
  readonly everyMs: number
  readonly graceMs?: number
  readonly windowMs?: number
}

/**
 * Parses the text of a configuration file: YAML, strictly; throws InvalidArgumentError that
 * names line, column and key.
 */
export function parseServerConfig(text: string, path: string): ServerConfig {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    // One way to write a value: no anchors that multiply, no keys that stand twice.
    uniqueKeys: true,
    version: '1.2',
    prettyErrors: false,
  })
  const [problem] = [...document.errors, ...document.warnings]
  if (problem !== undefined) {
    const { line, col } = lines.linePos(problem.pos[0])
    throw new InvalidArgumentError(`${path}:${line}:${col}: ${problem.message}`, {
      path,
      line,
    })
  }
  if (document.contents === null) return {}
  return parseRoot(new ConfigNode({ path, lines, document }, document.contents, ''))
}

function parseRoot(root: ConfigNode): ServerConfig {
  const {
    'read-only': readOnly,
    'allow-anonymous-push': allowAnonymousPush,
    'shutdown-grace': shutdownGraceMs,
    'transfer-memory': transferMemoryBytes,
    ...rest
  } = root.section({
    root: text,
    listen: text,
    'read-only': flag,
    create: flag,
    'allow-anonymous-push': flag,
    'shutdown-grace': duration,
    'transfer-memory': bytes,
    tls: parseTls,
    access: parseAccess,
    limits: parseLimits,
    log: parseLog,
    metrics: node => node.section({ listen: text }),
    maintenance: parseMaintenance,
  })
  return defined({
    ...rest,
    readOnly,
    allowAnonymousPush,
    shutdownGraceMs,
    transferMemoryBytes,
  })
}

function parseTls(node: ConfigNode): TlsFiles {
  const found = node.section({ certificate: text, key: text, 'client-ca': text })
  const { certificate, key, 'client-ca': clientCa } = found
  if (certificate === undefined || key === undefined) {
    throw node.invalid('expected both certificate and key')
  }
  return { certificate, key, ...(clientCa === undefined ? {} : { clientCa }) }
}

function parseAccess(node: ConfigNode): AccessFiles {
  return defined(
    node.section({
      tokens: text,
      passwords: text,
      rules: rules => rules.list(parseRule),
    }),
  )
}

function parseRule(node: ConfigNode): AccessRule {
  const { who, repositories, allow } = node.section({
    who: found => found.list(each => each.parsed(parseWho)),
    repositories: found => found.list(each => each.parsed(parseRepositoryPattern)),
    allow: found => found.list(each => each.parsed(parseAction)),
  })
  if (who === undefined || repositories === undefined || allow === undefined) {
    throw node.invalid('expected who, repositories and allow')
  }
  return { who, grant: { repositories, actions: allow } }
}

function parseLimits(node: ConfigNode): ServerLimits {
  const found = node.section({
    transfers: count,
    uploads: count,
    'transfers-per-principal': count,
    'bytes-per-second': bytes,
    'repository-bytes': bytes,
    'free-bytes': bytes,
    'metadata-bytes': bytes,
    'file-bytes': bytes,
    'transfer-bytes': bytes,
    'transfer-objects': count,
    'tree-bytes': bytes,
    'tree-objects': count,
  })
  return defined({
    transfers: found.transfers,
    uploads: found.uploads,
    transfersPerPrincipal: found['transfers-per-principal'],
    bytesPerSecond: found['bytes-per-second'],
    repositoryBytes: found['repository-bytes'],
    freeBytes: found['free-bytes'],
    metadataBytes: found['metadata-bytes'],
    fileBytes: found['file-bytes'],
    totalBytes: found['transfer-bytes'],
    objects: found['transfer-objects'],
    treeBytes: found['tree-bytes'],
    treeObjects: found['tree-objects'],
  })
}

function parseLog(node: ConfigNode): NonNullable<ServerConfig['log']> {
  return defined(
    node.section({
      audit: text,
      level: found => {
        const level = found.text()
        if (level === 'info' || level === 'warn' || level === 'error') return level
        throw found.invalid('expected info, warn or error')
      },
    }),
  )
}

function parseMaintenance(node: ConfigNode): MaintenanceConfig {
  const found = node.section({ every: duration, grace: duration, window: duration })
  if (found.every === undefined) throw node.invalid('expected every')
  return defined({
    everyMs: found.every,
    graceMs: found.grace,
    windowMs: found.window,
  })
}

const text = (node: ConfigNode): string => node.text()
const flag = (node: ConfigNode): boolean => node.flag()
const count = (node: ConfigNode): number => node.count()
const bytes = (node: ConfigNode): number => node.bytes()
const duration = (node: ConfigNode): number => node.duration()

type Defined<Value> = { [Key in keyof Value]: Exclude<Value[Key], undefined> }

/** Leaves out members that are undefined. */
function defined<Value extends object>(value: Value): Defined<Value> {
  return Object.fromEntries(
    Object.entries(value).filter(([, member]) => member !== undefined),
  ) as Defined<Value>
}
