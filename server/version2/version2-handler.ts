import { ProtocolViolationError, RepositoryNotFoundError } from '../../lib/errors.js'
import type { Action } from '../access.js'
import { sendProblem } from '../problem.js'
import { parseRepositoryPath } from '../repository-path.js'
import type { Exchange } from '../version1-handler.js'
import type { Version2Context, Version2Handler } from './context.js'
import { capabilities, object } from './read-routes.js'
import { deleteTag, getTag, listTags, putTag, tagLog } from './tag-routes.js'
import { askMissing, openUpload, pull, receivePack } from './transfer-routes.js'
import { tree } from './tree-routes.js'

type Method = {
  /** What who asks must be allowed: one of these. */
  readonly needs: readonly [Action, ...Action[]]
  /** And this, too. */
  readonly also?: Action
  readonly answer: Version2Handler
}

type Route = {
  /** Path elements behind `v2`: a word, any one (`*`), or any number more (`**`). */
  readonly path: readonly string[]
  readonly methods: Readonly<Partial<Record<string, Method>>>
}

const routes: readonly Route[] = [
  { path: [], methods: { GET: { needs: ['pull', 'push'], answer: capabilities } } },
  { path: ['objects', '*'], methods: reading(object) },
  { path: ['tags'], methods: { GET: { needs: ['pull'], answer: listTags } } },
  {
    path: ['tags', '*'],
    methods: {
      ...reading(getTag),
      // It names an object that is here: nobody may point at what he may not read.
      PUT: { needs: ['push'], also: 'pull', answer: putTag },
      DELETE: { needs: ['tag-delete'], answer: deleteTag },
    },
  },
  { path: ['tags', '*', 'log'], methods: { GET: { needs: ['pull'], answer: tagLog } } },
  { path: ['trees', '*', '**'], methods: reading(tree) },
  { path: ['pull'], methods: { POST: { needs: ['pull'], answer: pull } } },
  { path: ['uploads'], methods: pushing(openUpload) },
  { path: ['uploads', '*', 'missing'], methods: pushing(askMissing) },
  { path: ['uploads', '*', 'packs'], methods: pushing(receivePack) },
]

function reading(answer: Version2Handler): Route['methods'] {
  return { GET: { needs: ['pull'], answer }, HEAD: { needs: ['pull'], answer } }
}

function pushing(answer: Version2Handler): Route['methods'] {
  return { POST: { needs: ['push'], answer } }
}

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
  const method = route?.methods[request.method]
  response.set('Cache-Control', 'no-store')
  if (route === undefined) {
    sendProblem(response, { status: 404, detail: 'no such resource' })
  } else if (method === undefined) {
    response.set('Allow', Object.keys(route.methods).join(', '))
    sendProblem(response, { status: 405, detail: `${request.method} is not for this` })
  } else {
    log.add({ service: ['v2', ...route.path].join('/') })
    const { admission } = context
    const principal = await admission.authenticate(request)
    log.add({ who: principal.name })
    const repositoryPath = parseRepositoryPath(base)
    const place = repositoryPath.join('/')
    admission.requireAny(principal, method.needs, place)
    if (method.also !== undefined) admission.require(principal, method.also, place)
    const admitted = { request, response, log, repositoryPath, principal, rest }
    await method.answer(context, admitted)
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
