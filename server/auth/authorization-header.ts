/** What the header says of who makes a request. */
export type AuthorizationHeader =
  | { readonly kind: 'none' }
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'basic'; readonly user: string; readonly password: string }
  | { readonly kind: 'malformed' }

const maxLength = 4096

/** Parses the value of an Authorization header (RFC 6750, RFC 7617). */
export function parseAuthorization(value: string | undefined): AuthorizationHeader {
  if (value === undefined) return { kind: 'none' }
  if (value.length > maxLength) return { kind: 'malformed' }
  const [, scheme = '', rest = ''] = /^([A-Za-z]+) +([^ ]+)$/.exec(value) ?? []
  if (scheme.toLowerCase() === 'bearer') return { kind: 'bearer', token: rest }
  if (scheme.toLowerCase() !== 'basic') return { kind: 'malformed' }
  const text = Buffer.from(rest, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon < 1) return { kind: 'malformed' }
  return { kind: 'basic', user: text.slice(0, colon), password: text.slice(colon + 1) }
}
