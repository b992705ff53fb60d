import type { Request, Response } from 'express'
import type { Uploads } from '../../lib/remote/version2/uploads.js'
import type { Repository } from '../../lib/repository/repository.js'
import type { Action, Principal } from '../access.js'
import type { RepositoryPath } from '../repository-path.js'
import type { RequestLog } from '../request-log.js'
import type { ServerContext } from '../server-context.js'

/** What the routes of protocol 2 work with. */
export type Version2Context = ServerContext & { readonly uploads: Uploads }

/** One request to a repository that was admitted, and what its route takes out of the path. */
export type Version2Exchange = {
  readonly request: Request
  readonly response: Response
  readonly log: RequestLog
  readonly repositoryPath: RepositoryPath
  /** Who asks. */
  readonly principal: Principal
  /** Path elements behind `v2`, decoded to bytes. */
  readonly rest: readonly Buffer[]
}

/** Answers one method of one route. */
export type Version2Handler = (
  context: Version2Context,
  exchange: Version2Exchange,
) => Promise<void>

/** Opens the repository that a request names. */
export async function openNamed(
  { shelf }: Version2Context,
  { repositoryPath }: Version2Exchange,
): Promise<Repository> {
  return shelf.get(repositoryPath)
}

/** Whether who asks may do something to the repository that the request names. */
export function may(
  { admission }: Version2Context,
  { principal, repositoryPath }: Version2Exchange,
  action: Action,
): boolean {
  return admission.may(principal, action, repositoryPath.join('/'))
}

/** Who asks, for the logs of tags. */
export function whoOf({ principal, log }: Version2Exchange): string {
  return principal.anonymous ? log.peer : `${principal.name}@${log.peer}`
}
