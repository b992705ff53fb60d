import type { Repository } from '../lib/repository/repository.js'
import type { CredentialStore } from './credential-store.js'
import type { Output } from './output.js'
import type { Settings } from './settings.js'

/** What a command works with: made by main for one run. */
export type CommandContext = {
  readonly settings: Settings
  readonly output: Output
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal
  /** How this program is started again: for quickstart's steps. */
  readonly self: { readonly command: string; readonly arguments: readonly string[] }
  /** What this user shows to servers. */
  credentials(): Promise<CredentialStore>
  /** Reads one line that must not show. */
  readSecret(what: string): Promise<string>
  /** Does something each time a SIGHUP comes, which without this ends the run. */
  onHangup(action: () => void): void
  /** Who runs it, for logs of tags. */
  who(): string
  /** Opens the repository of the settings; the user's own is made on first use. */
  repository(): Promise<Repository>
  /** Sets the exit code of a run that does not fail, but has something to say by it. */
  finishWith(exitCode: number): void
}

/** Runs the body of a command with a context. */
export type Start = (body: (context: CommandContext) => Promise<void>) => Promise<void>
