import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { InvalidArgumentError } from '../../lib/errors.js'
import type { AccessPolicy } from '../../server/auth/authenticate.js'
import { PasswordFile } from '../../server/auth/password-file.js'
import { TokenFile } from '../../server/auth/token-file.js'
import { createServer } from '../../server/cairn-server.js'
import {
  parseServerConfig,
  type ServerConfig,
} from '../../server/config/server-config.js'
import { formatLogEntry, type LogEntry } from '../../server/log-entry.js'
import type {
  CairnServer,
  ReloadableOptions,
  ServerOptions,
} from '../../server/server-options.js'
import type { TlsMaterial } from '../../server/tls.js'
import type { CommandContext } from '../context.js'
import { formatListenUrl, parseListenAddress } from '../listen-address.js'

export type ServeFlags = {
  readonly config?: string
  readonly root?: string
  readonly listen?: string
  readonly readOnly?: boolean
  readonly create?: boolean
  readonly allowAnonymousPush?: boolean
  readonly tokens?: string
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly tlsClientCa?: string
  readonly auditLog?: string
  readonly metricsListen?: string
}

const defaultListen = '127.0.0.1:8080'

// Transfers in flight may take so long to finish; a second signal does not wait.
const defaultGraceMs = 60_000

/** `cairn serve` */
export async function serve(context: CommandContext, flags: ServeFlags): Promise<void> {
  const config = readConfig(flags)
  const { create = false, readOnly = false } = config
  const wanted = parseListenAddress(config.listen ?? defaultListen)
  if (create && config.root === undefined) {
    throw new InvalidArgumentError('--create needs --root: where repositories are made')
  }
  if (config.root !== undefined && context.settings.repositoryFrom === 'flag') {
    throw new InvalidArgumentError(
      'expected at most one of --repo, to serve one repository, and --root, to serve all ' +
        'below a folder',
    )
  }
  const root = config.root ?? (await context.repository()).root
  await using server = createServer({ ...optionsOf(context, config), root })
  const { port } = await server.listen(wanted)
  const { host } = wanted
  const url = formatListenUrl({ host, port, secure: config.tls !== undefined })
  const metricsAddress = await listenForMetrics(server, config)
  const refusal = server.pushRefusal
  if (refusal !== undefined && !readOnly) {
    context.output.note(
      'pushes are refused on an address that other machines reach: ' +
        '--allow-anonymous-push takes them from anyone',
    )
  }
  context.onHangup(() => reload(context, server, flags))
  await context.output.result(
    {
      url,
      host,
      port,
      root: resolve(root),
      readOnly,
      takesPushes: refusal === undefined,
      metrics: metricsAddress ?? null,
    },
    `serving ${resolve(root)} at ${url}\n`,
  )
  if (!context.signal.aborted) await once(context.signal, 'abort')
  context.output.note('finishing')
  await server.close({ graceMs: config.shutdownGraceMs ?? defaultGraceMs })
}

/** What the file says, and the flags, which go before it. */
function readConfig(flags: ServeFlags): ServerConfig {
  const { config: path } = flags
  const file =
    path === undefined ? {} : parseServerConfig(readFileSync(path, 'utf8'), path)
  const { root, listen, readOnly, create, allowAnonymousPush, metricsListen } = flags
  const { tokens, auditLog } = flags
  const tls = tlsFlags(flags)
  return {
    ...file,
    ...(root !== undefined && { root }),
    ...(listen !== undefined && { listen }),
    ...(readOnly !== undefined && { readOnly }),
    ...(create !== undefined && { create }),
    ...(allowAnonymousPush !== undefined && { allowAnonymousPush }),
    ...(tokens !== undefined && { access: { ...file.access, tokens } }),
    ...(auditLog !== undefined && { log: { ...file.log, audit: auditLog } }),
    ...(metricsListen !== undefined && { metrics: { listen: metricsListen } }),
    ...(tls !== undefined && { tls }),
  }
}

function tlsFlags({ tlsCert, tlsKey, tlsClientCa }: ServeFlags): ServerConfig['tls'] {
  if (tlsCert === undefined && tlsKey === undefined && tlsClientCa === undefined) {
    return undefined
  }
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new InvalidArgumentError('--tls-cert and --tls-key go together')
  }
  return {
    certificate: tlsCert,
    key: tlsKey,
    ...(tlsClientCa !== undefined && { clientCa: tlsClientCa }),
  }
}

function optionsOf(
  context: CommandContext,
  config: ServerConfig,
): Omit<ServerOptions, 'root'> {
  const { create, readOnly, allowAnonymousPush, log: logs, maintenance } = config
  const { transferMemoryBytes } = config
  const least = logs?.level ?? 'info'
  return {
    ...reloadableOf(config),
    ...(create !== undefined && { create }),
    ...(readOnly !== undefined && { readOnly }),
    ...(allowAnonymousPush !== undefined && { allowAnonymousPush }),
    ...(logs?.audit !== undefined && { auditLog: logs.audit }),
    ...(maintenance !== undefined && { maintenance }),
    ...(transferMemoryBytes !== undefined && {
      transferMemory: { bytes: transferMemoryBytes },
    }),
    logger: entry => log(context, entry, least),
  }
}

function reloadableOf({ access, limits, tls }: ServerConfig): ReloadableOptions {
  return {
    ...(access !== undefined && { access: policyOf(access) }),
    ...(limits !== undefined && { limits }),
    ...(tls !== undefined && { tls: readTls(tls) }),
  }
}

function policyOf({
  tokens,
  passwords,
  rules = [],
}: NonNullable<ServerConfig['access']>): AccessPolicy {
  return {
    rules,
    tokens: tokens === undefined ? undefined : new TokenFile(tokens),
    passwords: passwords === undefined ? undefined : new PasswordFile(passwords),
  }
}

function readTls({
  certificate,
  key,
  clientCa,
}: NonNullable<ServerConfig['tls']>): TlsMaterial {
  return {
    certificate: readFileSync(certificate),
    key: readFileSync(key),
    ...(clientCa !== undefined && { clientCa: readFileSync(clientCa) }),
  }
}

async function listenForMetrics(
  server: CairnServer,
  { metrics }: ServerConfig,
): Promise<string | undefined> {
  if (metrics?.listen === undefined) return undefined
  const wanted = parseListenAddress(metrics.listen)
  const { port } = await server.listenForMetrics(wanted)
  return `${formatListenUrl({ host: wanted.host, port })}/metrics`
}

// What is wrong with the new state must not end a server that works with the old one.
function reload(context: CommandContext, server: CairnServer, flags: ServeFlags): void {
  const time = new Date().toISOString()
  try {
    server.reload(reloadableOf(readConfig(flags)))
    log(context, { time, level: 'info', message: 'reloaded' }, 'info')
  } catch (error) {
    const shown = error instanceof Error ? error.message : String(error)
    const message = 'not reloaded: all goes on as before'
    log(context, { time, level: 'error', message, error: shown }, 'info')
  }
}

const ranks = { info: 0, warn: 1, error: 2 }

function log(
  { output }: CommandContext,
  entry: LogEntry,
  least: LogEntry['level'],
): void {
  const wanted = output.mode.quiet && least === 'info' ? 'warn' : least
  if (ranks[entry.level] >= ranks[wanted]) output.log(formatLogEntry(entry))
}
