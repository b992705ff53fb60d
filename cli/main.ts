#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { homedir, hostname, userInfo } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Repository } from '../lib/repository/repository.js'
import { isErrno } from '../lib/system/errno.js'
import type { CommandContext } from './context.js'
import { describeFailure, type Failure, Interruption } from './failure.js'
import { formatJson } from './json.js'
import { openRepositoryOf } from './open-repository.js'
import { Output } from './output.js'
import { createProgram, isHelpOrVersion } from './program.js'
import { type GlobalFlags, resolveSettings, type Settings } from './settings.js'
import { printable } from './text.js'

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Only once: who asks again means it, and the default action ends the process.
  process.once(signal, () => interrupted.abort(new Interruption(signal)))
}
// Failed writes are reported to their writers; without a listener they would also end
// the process.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

function settle(flags: GlobalFlags): Settings {
  return resolveSettings(flags, process.env, homedir())
}

function contextOf(flags: GlobalFlags, opened: Repository[]): CommandContext {
  const settings = settle(flags)
  const output = new Output(process.stdout, process.stderr, settings)
  return {
    settings,
    output,
    signal: interrupted.signal,
    self: { command: process.execPath, arguments: [fileURLToPath(import.meta.url)] },
    credentials: async () => {
      const { CredentialStore } = await import('./credential-store.js')
      return new CredentialStore(settings.credentialsPath)
    },
    readSecret: async what => {
      const { readSecret } = await import('./read-secret.js')
      return readSecret(process.stdin, text => void process.stderr.write(text), what)
    },
    onHangup: action => void process.on('SIGHUP', action),
    who: describeUser,
    async repository() {
      const repository = await openRepositoryOf(settings, output)
      opened.push(repository)
      return repository
    },
    finishWith(exitCode) {
      process.exitCode = exitCode
    },
  }
}

function report(failure: Failure, settings: Settings, error: unknown): void {
  process.exitCode = failure.exitCode
  if (failure.silent === true) return
  const { code, message, facts, hint } = failure
  if (settings.json) {
    process.stderr.write(`${formatJson({ error: { code, message, facts, hint } })}\n`)
    return
  }
  const line = hint === undefined ? message : `${message} (${hint})`
  process.stderr.write(`cairn: ${printable(line)}\n`)
  if (settings.verbose) process.stderr.write(`${describeStack(error)}\n`)
}

function describeStack(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const own = printableLines(error.stack ?? error.message)
  return error.cause === undefined
    ? own
    : `${own}\ncaused by: ${describeStack(error.cause)}`
}

function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

function describeUser(): string {
  return `${findUserName() ?? `uid ${process.getuid?.() ?? 'unknown'}`}@${hostname()}`
}

function findUserName(): string | undefined {
  try {
    return userInfo().username
  } catch (error) {
    // A user id without an entry in the user database.
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

function readVersion(): string {
  const path = new URL('../../package.json', import.meta.url)
  const manifest: unknown = JSON.parse(readFileSync(path, 'utf8'))
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) {
    return String(manifest.version)
  }
  throw new Error(`no version in ${fileURLToPath(path)}`)
}

const program = createProgram(readVersion(), async body => {
  const opened: Repository[] = []
  const context = contextOf(program.opts<GlobalFlags>(), opened)
  await body(context)
  for (const { root, maintenanceProblem: problem } of opened) {
    if (problem === undefined) continue
    context.output.warn(`${root} was not tidied up: ${problem.message}`)
  }
})
async function main(): Promise<void> {
  try {
    await program.parseAsync(process.argv)
  } catch (error) {
    if (!isHelpOrVersion(error)) {
      // A wrong argument may stand before the flags that say how to report it.
      const flags = {
        ...(process.argv.includes('--json') && { json: true }),
        ...program.opts<GlobalFlags>(),
      }
      const settings = settle(flags)
      report(describeFailure(error, settings, interrupted.signal.reason), settings, error)
    }
  }
}

void main()
