/** The four services of version 1, chosen by the query value `service`. */
export type Version1Service =
  | 'get-tag'
  | 'list-tags'
  | 'serve-objects'
  | 'receive-objects'

const services: ReadonlySet<string> = new Set<Version1Service>([
  'get-tag',
  'list-tags',
  'serve-objects',
  'receive-objects',
])

/** The query of a request: the first value of each name counts. */
export function queryOf(url: string): URLSearchParams {
  const start = url.indexOf('?')
  return new URLSearchParams(start < 0 ? '' : url.slice(start + 1))
}

/** The service that a query names exactly; undefined for none of the four. */
export function findService(query: URLSearchParams): Version1Service | undefined {
  const name = query.get('service')
  return name !== null && services.has(name) ? (name as Version1Service) : undefined
}
