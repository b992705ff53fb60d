import { InvalidArgumentError } from '../../lib/errors.js'
import { encodeCbor } from '../../lib/object/canonical-cbor.js'
import { escapeBytes } from '../../lib/object/escape.js'
import { cborType } from '../../lib/remote/version2/media-types.js'
import { describeNode, listTree, type TreeEntry } from '../../lib/tree/list.js'
import { resolveTreePath } from '../../lib/tree/tree-path.js'
import { openNamed, type Version2Exchange, type Version2Handler } from './context.js'
import { numberParameter, parameters } from './query.js'
import { sendPayload } from './send-payload.js'

const maxPage = 10_000
const slash = Buffer.from('/')

/**
 * `GET /v2/trees/REF/PATH`: the bytes of a file, a page of a folder, or with `stat=1`
 * what is said of the entry itself.
 */
export const tree: Version2Handler = async (context, exchange) => {
  const { request, rest } = exchange
  const query = parameters(request, ['stat', 'offset', 'limit'])
  const [, ref = Buffer.alloc(0), ...names] = rest
  const repository = await openNamed(context, exchange)
  const { digest } = await repository.resolveRef(ref.toString('latin1'))
  const { objects } = repository
  const path = Buffer.concat(names.flatMap(name => [name, slash]))
  const node = await resolveTreePath(objects, digest, path)
  const { entry } = node
  if (query.has('stat')) {
    if (query.get('stat') !== '1' || query.size > 1) {
      throw new InvalidArgumentError('expected stat=1 and nothing else')
    }
    sendDocument(exchange, entryDocument(describeNode(node)))
  } else if (entry.kind === 'directory') {
    const limit = numberParameter(query, 'limit', { most: maxPage, usual: maxPage })
    const offset = numberParameter(query, 'offset', { most: 2 ** 32, usual: 0 })
    const entries: TreeEntry[] = []
    let passed = 0
    let more = false
    for await (const batch of listTree(objects, node)) {
      for (const one of batch) {
        if (passed++ < offset) continue
        if (entries.length < limit) entries.push(one)
        else more = true
      }
      if (more) break
    }
    sendDocument(exchange, {
      entries: entries.map(one => entryDocument(one)),
      ...(more && { next: offset + entries.length }),
    })
  } else if (entry.kind === 'regular') {
    if (query.size > 0) throw new InvalidArgumentError('a file has no such parameter')
    await sendPayload(context, exchange, { objects, ...entry.file, type: 'file' })
  } else sendDocument(exchange, entryDocument(describeNode(node)))
}

type Document = { readonly [key: string]: Value }
type Value = number | string | Document | readonly Value[]

/** Bytes as text: escaped, so that any name can be told. */
function entryDocument(entry: TreeEntry): Document {
  const { path, kind, header, size, object, target } = entry
  const name = path.subarray(path.lastIndexOf(slash) + 1)
  return {
    name: escapeBytes(name),
    kind,
    mode: header.mode,
    uid: header.uid,
    gid: header.gid,
    header: entry.entry.header.digest,
    ...(size !== undefined && { size: Number(size) }),
    ...(object !== undefined && { digest: object }),
    ...(target !== undefined && { target: escapeBytes(target) }),
    ...(header.rdev !== 0 && { rdev: header.rdev }),
    ...(header.xattrs.length > 0 && {
      xattrs: header.xattrs.map(one => escapeBytes(one.key)),
    }),
  }
}

function sendDocument({ request, response }: Version2Exchange, document: Document): void {
  response.set({ 'Cache-Control': 'no-cache', Vary: 'Accept' })
  if (request.accepts(['json', cborType]) === cborType) {
    response.type(cborType).send(encodeCbor(toCbor(document)))
  } else response.json(document)
}

type Cbor = number | string | ReadonlyMap<string, Cbor> | readonly Cbor[]

function toCbor(value: Value): Cbor {
  if (typeof value === 'number' || typeof value === 'string') return value
  if (Array.isArray(value)) return value.map((one: Value) => toCbor(one))
  return new Map(Object.entries(value).map(([key, one]) => [key, toCbor(one)]))
}
