import { getSystemErrorMap } from 'node:util'
import { CommanderError } from 'commander'
import { codeOfErrno, type ErrorCode, errorCodes } from '../lib/error-codes.js'
import { CairnError, type ErrorFacts } from '../lib/errors.js'
import { BrokenPipeError } from './output.js'
import type { Settings } from './settings.js'
import { shellWord } from './shell-word.js'

/** What an error that is none of the library's is called in JSON. */
type FailureCode =
  | 'broken_pipe'
  | 'interrupted'
  | 'step_failed'
  | 'system_error'
  | 'unexpected'

/** A signal that asked the run to end. */
export class Interruption extends Error {
  override readonly name = 'Interruption'
  readonly signal: 'SIGINT' | 'SIGTERM'

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super('interrupted')
    this.signal = signal
  }
}

/** A command that quickstart ran did not succeed. */
export class StepFailedError extends Error {
  override readonly name = 'StepFailedError'
  readonly command: string
  readonly exitCode: number

  constructor(command: string, exitCode: number) {
    super(`exit code ${exitCode} from: ${command}`)
    this.command = command
    this.exitCode = exitCode
  }
}

/** How a failed run ends: what it says and its exit code. */
export type Failure = {
  readonly code: ErrorCode | FailureCode
  readonly message: string
  readonly facts: ErrorFacts
  readonly hint?: string
  readonly exitCode: number
  /** Nothing is to be said: the user knows. */
  readonly silent?: boolean
}

const interruptExitCodes = { SIGINT: 130, SIGTERM: 143 } as const
// What a shell reports for a program that SIGPIPE ended.
const brokenPipeExitCode = 141

// For errors of the system that no code of ours stands for.
const exitCodeOfErrno: Readonly<Record<string, number>> = {
  ENOENT: errorCodes.ref_not_found.exitCode,
  EADDRINUSE: errorCodes.lock_busy.exitCode,
}

type Hint = string | ((facts: ErrorFacts, settings: Settings) => string | undefined)

const hints: Partial<Record<ErrorCode, Hint>> = {
  repository_not_found: (_, { repositoryFolder }) =>
    `make one with: cairn init --repo ${shellWord(repositoryFolder)}`,
  tag_not_found: ({ url }) =>
    url === undefined
      ? seeTags
      : `see its tags with: cairn remote tags ${shellWord(String(url))}`,
  ref_not_found: ({ ref }) => hintOfRef(String(ref)),
  path_not_found: ({ found }) =>
    found === 'symlink' ? 'links are not followed' : undefined,
  remote_refused: ({ status, url }) =>
    status === 401 ? hintOfLogin(String(url)) : undefined,
  remote_not_found: 'see the remotes with: cairn remote list',
  tag_protected: 'see what is protected with: cairn tag protected',
  ambiguous_ref: 'give more digits of the digest',
  lock_busy: ({ lock }) =>
    lock === 'snapshotter'
      ? 'reach a running snapshotter with --socket PATH'
      : 'another process uses the repository: try again when it has ended',
  invalid_snapshot_root: 'keep what can be kept with: cairn snapshot repair',
  corrupt_object: 'look for more damage with: cairn fsck',
  incomplete_closure: 'look for more damage with: cairn fsck',
  storage_full: 'free some space and repeat the command',
  destination_refused: ({ found }) =>
    found === 'a folder with entries' ? 'merge into it with --force' : undefined,
}

const seeTags = 'see the tags with: cairn tag list'

/** Decides how a run ends that threw `error`. */
export function describeFailure(
  error: unknown,
  settings: Settings,
  interruption: unknown,
): Failure {
  // What closing ran into afterwards is in the causes.
  const first = firstFailure(error)
  if (first !== error) return describeFailure(first, settings, interruption)
  if (error instanceof BrokenPipeError) {
    return {
      code: 'broken_pipe',
      message: '',
      facts: {},
      exitCode: brokenPipeExitCode,
      silent: true,
    }
  }
  if (interruption instanceof Interruption) {
    return {
      code: 'interrupted',
      message: 'interrupted',
      facts: { signal: interruption.signal },
      exitCode: interruptExitCodes[interruption.signal],
    }
  }
  if (error instanceof CommanderError) return describeUsageError(error)
  if (error instanceof CairnError) {
    const hint = findHint(error, settings)
    return {
      code: error.code,
      message: error.message,
      facts: error.facts,
      exitCode: errorCodes[error.code].exitCode,
      ...(hint !== undefined && { hint }),
    }
  }
  if (error instanceof StepFailedError) {
    const { command, exitCode, message } = error
    return { code: 'step_failed', message, facts: { command, exitCode }, exitCode: 1 }
  }
  return describeSystemError(error) ?? describeUnexpected(error)
}

// The compiler's own class stands in where the platform has none.
function firstFailure(error: unknown): unknown {
  const isPair = error instanceof Error && error.name === 'SuppressedError'
  return isPair && 'suppressed' in error ? error.suppressed : error
}

function describeUsageError(error: CommanderError): Failure {
  const message = error.message
    .replace(/^error: /, '')
    .replace(/\.$/, '')
    .replaceAll(/\s*\n\s*/g, ' ')
  return {
    code: 'invalid_argument',
    // Without a command, commander has printed the help instead.
    silent: error.code === 'commander.help',
    message: message.replace(/^\w/, first => first.toLowerCase()),
    facts: {},
    hint: 'see --help',
    exitCode: errorCodes.invalid_argument.exitCode,
  }
}

function describeSystemError(error: unknown): Failure | undefined {
  if (!(error instanceof Error) || !('errno' in error) || !('code' in error)) {
    return undefined
  }
  const errno = String(error.code)
  const path = 'path' in error ? String(error.path) : undefined
  const code = codeOfErrno[errno]
  return {
    code: code ?? 'system_error',
    message: path === undefined ? error.message : `${path}: ${explain(error, errno)}`,
    facts: { errno, path },
    exitCode:
      code === undefined ? (exitCodeOfErrno[errno] ?? 1) : errorCodes[code].exitCode,
  }
}

function explain(error: Error & { readonly errno: unknown }, code: string): string {
  const [, text] = getSystemErrorMap().get(Number(error.errno)) ?? []
  return text === undefined ? code : `${text} (${code})`
}

function describeUnexpected(error: unknown): Failure {
  const message =
    error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return {
    code: 'unexpected',
    message: `unexpected error: ${message}`,
    facts: {},
    hint: 'please report this with what --verbose prints',
    exitCode: 1,
  }
}

function findHint({ code, facts }: CairnError, settings: Settings): string | undefined {
  const hint = hints[code]
  return typeof hint === 'function' ? hint(facts, settings) : hint
}

// Without what the protocols put behind the address of a repository.
function hintOfLogin(url: string): string {
  return `log in with: cairn login ${shellWord(url.replace(/(\/v2\/|\/?\?).*$/, ''))}`
}

function hintOfRef(ref: string): string {
  const past = /^(.+)@\{\d+\}$/.exec(ref)?.[1]
  if (past !== undefined) return `see what it named with: cairn tag log ${past}`
  return ref.includes(':') ? 'only checkout, ls, cat and show take REF:PATH' : seeTags
}
