import {
  PreconditionMissingError,
  ProtocolViolationError,
  RefNotFoundError,
  TagConflictError,
} from '../../lib/errors.js'
import { type Descriptor, sameDescriptor } from '../../lib/object/descriptor.js'
import { parseDigest } from '../../lib/object/digest.js'
import type { Tag } from '../../lib/object/tag-list.js'
import { parseTagName, type TagName } from '../../lib/object/tag-name.js'
import { describeRoot } from '../../lib/remote/version2/describe-root.js'
import { pushLimits } from '../../lib/remote/version2/push-message.js'
import type { Repository } from '../../lib/repository/repository.js'
import { recordMove } from './audited-change.js'
import { namesEtag } from './byte-range-header.js'
import {
  openNamed,
  type Version2Context,
  type Version2Exchange,
  type Version2Handler,
  whoOf,
} from './context.js'
import { numberParameter, parameters } from './query.js'
import { readJson } from './request-body.js'

const maxPage = 1000

/** `GET /v2/tags`: a page of tags in byte order of names. */
export const listTags: Version2Handler = async (context, exchange) => {
  const { request, response, log } = exchange
  const query = parameters(request, ['after', 'limit'])
  const limit = numberParameter(query, 'limit', { most: maxPage, usual: maxPage })
  const after = query.get('after') ?? ''
  const repository = await openNamed(context, exchange)
  const tags = await repository.tags.list({
    onSkipped: ({ name, reason }) => log.note(`tag file "${name}" skipped: ${reason}`),
  })
  const behind = tags.filter(({ name }) => name > after)
  const page = behind.slice(0, limit)
  response.set('Cache-Control', 'no-cache').json({
    tags: page.map(tag => tagDocument(tag)),
    ...(behind.length > page.length && { next: page.at(-1)?.name }),
  })
}

/** `GET /v2/tags/NAME` */
export const getTag: Version2Handler = async (context, exchange) => {
  const { request, response } = exchange
  const name = nameOf(exchange)
  const { tags } = await openNamed(context, exchange)
  const descriptor = await tags.get(name)
  const etag = etagOf(descriptor)
  response.set({ 'Cache-Control': 'no-cache', ETag: etag })
  if (namesEtag(request.headers['if-none-match'], etag)) response.status(304).end()
  else response.json(tagDocument({ name, descriptor }))
}

/** `GET /v2/tags/NAME/log`: the latest changes first. */
export const tagLog: Version2Handler = async (context, exchange) => {
  const { request, response } = exchange
  const query = parameters(request, ['limit'])
  const limit = numberParameter(query, 'limit', { most: maxPage, usual: maxPage })
  const { tags } = await openNamed(context, exchange)
  const entries = await tags.log(nameOf(exchange))
  response.set('Cache-Control', 'no-cache').json({
    changes: entries.slice(0, limit).map(entry => ({
      sequence: Number(entry.sequence),
      time: new Date(Number(entry.time / 1_000_000n)).toISOString(),
      kind: entry.kind,
      old: entry.old?.digest ?? null,
      new: entry.new?.digest ?? null,
      who: entry.who,
      message: entry.message,
    })),
  })
}

/** `PUT /v2/tags/NAME`: makes a tag name an application that is here. */
export const putTag: Version2Handler = async (context, exchange) => {
  const { request, response } = exchange
  context.audit.check()
  const name = nameOf(exchange)
  const query = parameters(request, ['force'])
  const body = await readJson(context, request, pushLimits.openBytes)
  const digest = parseDigest(textOf(body, 'digest'))
  const message = 'message' in body ? textOf(body, 'message') : ''
  const repository = await openNamed(context, exchange)
  const root = await describeRoot(repository.objects, digest)
  if (root === undefined) {
    throw new RefNotFoundError(`no object ${digest}`, { ref: digest })
  }
  const expected = await expectedBy(exchange, repository, {
    name,
    force: query.get('force'),
  })
  checkMove(context, exchange, { root, ...expected })
  const change = { who: whoOf(exchange), message, ...expected }
  const move = await repository.tags.set(name, root, change)
  await recordMove(context, exchange, move)
  response.set('ETag', etagOf(root)).json(tagDocument({ name, descriptor: root }))
}

/** `DELETE /v2/tags/NAME` */
export const deleteTag: Version2Handler = async (context, exchange) => {
  const { request, response } = exchange
  context.audit.check()
  const name = nameOf(exchange)
  const query = parameters(request, ['force'])
  const repository = await openNamed(context, exchange)
  const expected = await expectedBy(exchange, repository, {
    name,
    force: query.get('force'),
  })
  const change = { who: whoOf(exchange), ...expected }
  const move = await repository.tags.remove(name, change)
  await recordMove(context, exchange, move)
  response.status(204).end()
}

function textOf(body: Readonly<Record<string, unknown>>, name: string): string {
  const value = body[name]
  if (typeof value === 'string') return value
  throw new ProtocolViolationError(`expected text as "${name}"`, { name })
}

/** Throws AccessRefusedError when the change could move a tag, and who asks may not. */
function checkMove(
  { admission }: Version2Context,
  { principal, repositoryPath }: Version2Exchange,
  { root, expected }: { root: Descriptor; expected?: Descriptor | 'absent' },
): void {
  const isNew = expected === 'absent'
  const stays = expected !== undefined && !isNew && sameDescriptor(expected, root)
  if (!isNew && !stays) admission.require(principal, 'tag-move', repositoryPath.join('/'))
}

/** What a tag must name for a change to happen, as the request's conditions say. */
async function expectedBy(
  { request }: Version2Exchange,
  { tags }: Repository,
  { name, force }: { name: TagName; force: string | undefined },
): Promise<{ expected?: Descriptor | 'absent' }> {
  const { 'if-match': match, 'if-none-match': noneMatch } = request.headers
  if (noneMatch !== undefined) {
    if (noneMatch !== '*') throw new ProtocolViolationError('expected If-None-Match: *')
    return { expected: 'absent' }
  }
  if (match === undefined) {
    if (force === '1') return {}
    throw new PreconditionMissingError(
      'a change of a tag needs If-Match, If-None-Match: *, or force=1',
    )
  }
  const current = await tags.find(name)
  if (current !== undefined && namesEtag(match, etagOf(current))) {
    return { expected: current }
  }
  const found = current?.digest ?? 'no tag'
  throw new TagConflictError(
    `tag ${name} has changed: expected ${match}, found ${found}`,
    {
      name,
      expected: match,
      found,
    },
  )
}

function nameOf({ rest }: Version2Exchange): TagName {
  return parseTagName(rest[1]?.toString('latin1') ?? '')
}

// A tag is what it names: whoever saw that may move it.
function etagOf({ digest }: Descriptor): string {
  return `"${digest}"`
}

function tagDocument({ name, descriptor }: Tag): object {
  const { digest, type, size, subObjectCount, subObjectsSize } = descriptor
  return {
    name,
    digest,
    type,
    size,
    subObjectCount,
    subObjectsSize: Number(subObjectsSize),
  }
}
