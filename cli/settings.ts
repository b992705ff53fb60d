import { isAbsolute, join } from 'node:path'

/** The process's environment, as far as settings come from it. */
export type Environment = Readonly<Record<string, string | undefined>>

/** What the global flags say; absent ones were not given. */
export type GlobalFlags = {
  readonly repo?: string
  readonly json?: boolean
  readonly quiet?: boolean
  readonly verbose?: boolean
  /** False only by `--no-progress`. */
  readonly progress?: boolean
}

/** Where a run works and how it speaks: read once, by main. */
export type Settings = {
  readonly repositoryFolder: string
  /** Who named the repository. By default it is the user's own, made on first use. */
  readonly repositoryFrom: 'flag' | 'environment' | 'default'
  /** Where this user's credentials are kept. */
  readonly credentialsPath: string
  /** Shown to the remote that a command speaks with, before what is kept. */
  readonly token: string | undefined
  readonly json: boolean
  readonly quiet: boolean
  readonly verbose: boolean
  readonly progress: boolean
}

/** Settles flags, then environment, then defaults. */
export function resolveSettings(
  flags: GlobalFlags,
  environment: Environment,
  home: string,
): Settings {
  const inherited = nonEmpty(environment['CAIRN_REPO'])
  const named = flags.repo ?? inherited
  return {
    repositoryFolder: named ?? defaultRepositoryFolder(environment, home),
    repositoryFrom:
      flags.repo !== undefined
        ? 'flag'
        : inherited !== undefined
          ? 'environment'
          : 'default',
    credentialsPath: join(configFolder(environment, home), 'credentials.json'),
    token: nonEmpty(environment['CAIRN_TOKEN']),
    json: flags.json ?? false,
    quiet: flags.quiet ?? false,
    verbose: flags.verbose ?? false,
    progress: flags.progress ?? true,
  }
}

function defaultRepositoryFolder(environment: Environment, home: string): string {
  const dataHome = nonEmpty(environment['XDG_DATA_HOME'])
  // The XDG base directory specification: a relative path is invalid and ignored.
  if (dataHome !== undefined && isAbsolute(dataHome)) return join(dataHome, 'cairn')
  return join(home, '.local', 'share', 'cairn')
}

function configFolder(environment: Environment, home: string): string {
  const configHome = nonEmpty(environment['XDG_CONFIG_HOME'])
  if (configHome !== undefined && isAbsolute(configHome)) return join(configHome, 'cairn')
  return join(home, '.config', 'cairn')
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}
