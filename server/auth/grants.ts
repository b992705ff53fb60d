import { InvalidArgumentError } from '../../lib/errors.js'
import { type Action, actions, type Principal } from '../access.js'
import {
  matchesRepository,
  parseRepositoryPattern,
  type RepositoryPattern,
} from './repository-pattern.js'

/** What may be done where. */
export type Grant = {
  readonly repositories: readonly RepositoryPattern[]
  readonly actions: readonly Action[]
}

/** Whether one of the grants lets an action happen to a repository. */
function isGranted(
  grants: readonly Grant[],
  action: Action,
  repositoryPath: string,
): boolean {
  return grants.some(
    ({ actions: allowed, repositories }) =>
      (allowed.includes(action) || allowed.includes('admin')) &&
      repositories.some(pattern => matchesRepository(pattern, repositoryPath)),
  )
}

/** Makes a principal of a name and what he was granted. */
export function principalOf(
  name: string,
  grants: readonly Grant[],
  options: { readonly anonymous?: boolean; readonly rateBytesPerSecond?: number } = {},
): Principal {
  const { anonymous = false, rateBytesPerSecond } = options
  return {
    name,
    anonymous,
    may: (action, repositoryPath) => isGranted(grants, action, repositoryPath),
    ...(rateBytesPerSecond === undefined ? {} : { rateBytesPerSecond }),
  }
}

/** Parses the name of an action; throws InvalidArgumentError. */
export function parseAction(text: string): Action {
  const action = actions.find(known => known === text)
  if (action !== undefined) return action
  const shown = JSON.stringify(text.slice(0, 100))
  throw new InvalidArgumentError(
    `unknown action ${shown}: expected ${actions.join(', ')}`,
    { found: shown },
  )
}

/** Parses a grant; throws InvalidArgumentError. */
export function parseGrant(
  repositories: readonly string[],
  allowed: readonly string[],
): Grant {
  return {
    repositories: repositories.map(parseRepositoryPattern),
    actions: allowed.map(parseAction),
  }
}
