import { InvalidArgumentError } from '../../lib/errors.js'
import type { Grant } from './grants.js'

/** Whom a rule is for. */
export type Who =
  | { readonly kind: 'anonymous' }
  /** Everyone who has shown a password or a certificate that is right. */
  | { readonly kind: 'authenticated' }
  | { readonly kind: 'user' | 'certificate'; readonly name: string }

/** What some may do somewhere. */
export type AccessRule = { readonly who: readonly Who[]; readonly grant: Grant }

/** Parses `anonymous`, `authenticated`, `user:NAME` or `certificate:COMMON NAME`. */
export function parseWho(text: string): Who {
  if (text === 'anonymous' || text === 'authenticated') return { kind: text }
  const [, kind, name] = /^(user|certificate):(.+)$/s.exec(text) ?? []
  if ((kind === 'user' || kind === 'certificate') && name !== undefined) {
    return { kind, name }
  }
  const shown = JSON.stringify(text.slice(0, 100))
  throw new InvalidArgumentError(
    `${shown} is nobody: expected anonymous, authenticated, user:NAME or certificate:NAME`,
    { found: shown },
  )
}

/** What rules grant to someone; what anonymous ones may, everyone may. */
export function grantsFor(
  rules: readonly AccessRule[],
  kind: 'anonymous' | 'token' | 'user' | 'certificate',
  name?: string,
): Grant[] {
  const isMeant = (who: Who): boolean => {
    switch (who.kind) {
      case 'anonymous':
        return true
      case 'authenticated':
        return kind === 'user' || kind === 'certificate'
      case 'user':
      case 'certificate':
        return who.kind === kind && who.name === name
      default:
        return who satisfies never
    }
  }
  return rules.filter(({ who }) => who.some(isMeant)).map(({ grant }) => grant)
}
