import type { LockOptions } from './lock.js'
import { waitFor } from './lock.js'
import type { RepositoryPaths } from './repository-paths.js'
import type { SessionRegistry } from './session-registry.js'

const defaultWait = 60_000

/** A session among those of its repository. */
export type SessionPlace = {
  readonly paths: RepositoryPaths
  readonly sessions: SessionRegistry
  /** The number of the session. */
  readonly own: number
}

/** The sessions that run beside one. */
export function otherSessions({ sessions, own }: SessionPlace): number[] {
  return sessions
    .list()
    .flatMap(({ number, state }) => (state === 'live' && number !== own ? [number] : []))
}

/**
 * Runs an action while no other session runs and none can begin, for moments.
 *
 * Throws LockBusyError when other sessions go on for longer than the options wait.
 */
export async function runAlone<Result>(
  place: SessionPlace,
  action: () => Promise<Result>,
  options: LockOptions = {},
): Promise<Result> {
  const limit = performance.now() + (options.wait ?? defaultWait)
  for (;;) {
    let done: { readonly result: Result } | undefined
    await place.sessions.pause(async () => {
      if (otherSessions(place).length === 0) done = { result: await action() }
    }, options)
    if (done !== undefined) return done.result
    await waitFor(
      () => otherSessions(place).length === 0,
      { path: place.paths.sessions, what: 'end of sessions' },
      { ...options, wait: Math.max(0, limit - performance.now()) },
    )
  }
}
