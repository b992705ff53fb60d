import type { Request, Response } from 'express'
import { encodeDescriptor } from '../lib/object/descriptor.js'
import { parseTagName } from '../lib/object/tag-name.js'
import type { Action, Principal } from './access.js'
import { parseRepositoryPath, type RepositoryPath } from './repository-path.js'
import type { RequestLog } from './request-log.js'
import type { ServerContext } from './server-context.js'
import type { Upgradable } from './upgrade-request.js'
import { findService, queryOf, type Version1Service } from './version1-service.js'
import { receiveObjects, serveObjects } from './version1-streams.js'

/** One request on its way. */
export type Exchange = {
  readonly request: Request
  readonly response: Response
  readonly log: RequestLog
  /** There if the request came with upgrade headers. */
  readonly upgradable: Upgradable | undefined
}

/** A request of version 1 that was admitted. */
export type Version1Request = Exchange & {
  readonly path: RepositoryPath
  readonly principal: Principal
  readonly tag: string | undefined
}

// Files that are no tags are told of, but do not fill the log.
const maxSkippedNotes = 20

/** Answers a request of version 1, whatever its method (format section 4). */
export async function handleVersion1(
  context: ServerContext,
  exchange: Exchange,
): Promise<void> {
  const { request, response, log } = exchange
  const query = queryOf(request.originalUrl)
  const service = findService(query)
  if (service === undefined) {
    response
      .status(404)
      .type('text/plain; charset=utf-8')
      .set('X-Content-Type-Options', 'nosniff')
      .send('404 page not found\n')
    return
  }
  log.add({ service })
  const { admission } = context
  const principal = await admission.authenticate(request)
  log.add({ who: principal.name })
  const path = parseRepositoryPath(request.path)
  const { action, answer } = services[service]
  admission.require(principal, action, path.join('/'))
  const tag = query.get('tag') ?? undefined
  await answer(context, { ...exchange, path, principal, tag })
}

type Service = {
  readonly action: Action
  readonly answer: (context: ServerContext, request: Version1Request) => Promise<void>
}

const services: Readonly<Record<Version1Service, Service>> = {
  'get-tag': { action: 'pull', answer: getTag },
  'list-tags': { action: 'pull', answer: listTags },
  'serve-objects': { action: 'pull', answer: serveObjects },
  'receive-objects': { action: 'push', answer: receiveObjects },
}

async function getTag(
  { shelf }: ServerContext,
  { path, response, tag }: Version1Request,
): Promise<void> {
  const name = parseTagName(tag ?? '')
  const repository = await shelf.get(path)
  const descriptor = await repository.tags.find(name)
  if (descriptor === undefined) {
    response.status(404).set('Content-Length', '0').end()
    return
  }
  sendBytes(response, encodeDescriptor(descriptor))
}

async function listTags(
  { shelf, tagLists }: ServerContext,
  { path, response, log }: Version1Request,
): Promise<void> {
  const repository = await shelf.get(path)
  const { bytes, skipped } = await tagLists.get(repository)
  for (const { name, reason } of skipped.slice(0, maxSkippedNotes)) {
    log.note(`tag file "${name}" skipped: ${reason}`)
  }
  sendBytes(response, bytes)
}

function sendBytes(response: Response, bytes: Buffer): void {
  response.status(200).type('application/octet-stream').send(bytes)
}
