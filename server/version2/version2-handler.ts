import { ProtocolViolationError, RepositoryNotFoundError } from '../../lib/errors.js'
import { sendProblem } from '../problem.js'
import { parseRepositoryPath } from '../repository-path.js'
import type { Exchange } from '../version1-handler.js'
import type { Version2Context, Version2Handler } from './context.js'
import { capabilities, object } from './read-routes.js'
import { deleteTag, getTag, listTags, putTag, tagLog } from './tag-routes.js'
import { askMissing, openUpload, pull, receivePack } from './transfer-routes.js'
import { tree } from './tree-routes.js'

type Route = {
  /** Path elements behind `v2`: a word, any one (`*`), or any number more (`**`). */
  readonly path: readonly string[]
  readonly methods: Readonly<Partial<Record<string, Version2Handler>>>
}

const routes: readonly Route[] = [
  { path: [], methods: { GET: capabilities } },
  { path: ['objects', '*'], methods: { GET: object, HEAD: object } },
  { path: ['tags'], methods: { GET: listTags } },
  {
    path: ['tags', '*'],
    methods: { GET: getTag, HEAD: getTag, PUT: putTag, DELETE: deleteTag },
  },
  { path: ['tags', '*', 'log'], methods: { GET: tagLog } },
  { path: ['trees', '*', '**'], methods: { GET: tree, HEAD: tree } },
  { path: ['pull'], methods: { POST: pull } },
  { path: ['uploads'], methods: { POST: openUpload } },
  { path: ['uploads', '*', 'missing'], methods: { POST: askMissing } },
  { path: ['uploads', '*', 'packs'], methods: { POST: receivePack } },
]

/** The path of a repository, and what stands behind `v2` in the path of a request. */
export type Version2Path = { readonly base: string; readonly rest: readonly Buffer[] }

/** Splits a path of protocol 2; undefined for any other. */
export function findVersion2Path(path: string): Version2Path | undefined {
  const elements = path.split('/')
  const at = elements.indexOf('v2')
  if (at < 1) return undefined
  const rest = elements.slice(at + 1)
  // `v2` and `v2/` are the same, and so is a folder with and without its last slash.
  if (rest.at(-1) === '') rest.pop()
  return { base: elements.slice(0, at).join('/') || '/', rest: rest.map(decodeElement) }
}

/** Answers a request of protocol 2. */
export async function handleVersion2(
  context: Version2Context,
  { request, response, log }: Exchange,
  { base, rest }: Version2Path,
): Promise<void> {
  const route = routes.find(({ path }) => matches(path, rest))
  const handler = route?.methods[request.method]
  response.set('Cache-Control', 'no-store')
  if (route === undefined) {
    sendProblem(response, { status: 404, detail: 'no such resource' })
  } else if (handler === undefined) {
    response.set('Allow', Object.keys(route.methods).join(', '))
    sendProblem(response, { status: 405, detail: `${request.method} is not for this` })
  } else {
    log.add({ service: ['v2', ...route.path].join('/') })
    const repositoryPath = parseRepositoryPath(base)
    await handler(context, {
      request,
      response,
      log,
      repositoryPath,
      principal: 'anonymous',
      rest,
    })
  }
}

function matches(path: readonly string[], rest: readonly Buffer[]): boolean {
  const isOpen = path.at(-1) === '**'
  const fixed = isOpen ? path.slice(0, -1) : path
  if (isOpen ? rest.length < fixed.length : rest.length !== fixed.length) return false
  return fixed.every(
    (word, index) => word === '*' || rest[index]?.equals(Buffer.from(word)),
  )
}

// Names in a tree are bytes: they need not be UTF-8.
function decodeElement(text: string): Buffer {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) {
    throw new ProtocolViolationError('the path has a broken escape')
  }
  const bytes = text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  const decoded = Buffer.from(bytes, 'latin1')
  if (decoded.includes(0) || decoded.includes(0x2f)) {
    throw new RepositoryNotFoundError('no such resource')
  }
  return decoded
}
