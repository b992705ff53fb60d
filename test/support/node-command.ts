/** Starts Node in a child as users do. */
const bare = ['env', '-u', 'NODE_OPTIONS', process.execPath] as const

const takesCoverage = process.env['_TAPJS_PROCESSINFO_COVERAGE_'] === '1'

/**
 * What starts Node in a child: a command, and the first of its arguments. What tap loads
 * into every child takes longer than most commands do: only coverage needs it.
 */
export const nodeCommand: readonly [command: string, ...first: string[]] = takesCoverage
  ? [process.execPath]
  : bare

/** Starts Node without what tap loads, which writes records where others may not. */
export const bareNodeCommand: readonly [command: string, ...first: string[]] = bare
