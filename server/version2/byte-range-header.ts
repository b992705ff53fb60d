import type { Request } from 'express'

/** The part of a payload that a request asks for. */
export type AskedRange =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly offset: number; readonly length: number }
  | { readonly kind: 'unsatisfiable' }

/**
 * What a request wants of `size` bytes with an entity tag (RFC 9110 sections 13 and 14).
 *
 * Several ranges, and what cannot be parsed, count as no range, as the RFC allows.
 */
export function askedRange(request: Request, size: number, etag: string): AskedRange {
  const { range, 'if-range': condition } = request.headers
  const parsed = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(range ?? '')
  const isCurrent = condition === undefined || condition === etag
  if (parsed === null || !isCurrent) return { kind: 'whole' }
  const [, first = '', last = ''] = parsed
  if (first === '' && last === '') return { kind: 'whole' }
  const from = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const to = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1)
  if (first !== '' && last !== '' && Number(last) < from) return { kind: 'whole' }
  if (from >= size || (first === '' && Number(last) === 0)) {
    return { kind: 'unsatisfiable' }
  }
  return { kind: 'part', offset: from, length: to - from + 1 }
}

/** Whether an `If-None-Match` or `If-Match` value names an entity tag. */
export function namesEtag(value: string | undefined, etag: string): boolean {
  if (value === undefined) return false
  const names = value.split(',').map(one => one.trim().replace(/^W\//, ''))
  return names.includes('*') || names.includes(etag)
}
