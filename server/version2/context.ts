import type { Request, Response } from 'express'
import type { Uploads } from '../../lib/remote/version2/uploads.js'
import type { Repository } from '../../lib/repository/repository.js'
import type { RepositoryPath } from '../repository-path.js'
import type { RequestLog } from '../request-log.js'
import type { Version1Context } from '../version1-handler.js'

/** What the routes of protocol 2 work with. */
export type Version2Context = Version1Context & { readonly uploads: Uploads }

/** One request to a repository, and what its route takes out of the path. */
export type Version2Exchange = {
  readonly request: Request
  readonly response: Response
  readonly log: RequestLog
  readonly repositoryPath: RepositoryPath
  /** Who asks. */
  readonly principal: string
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
