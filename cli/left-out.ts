import { escapeBytes } from '../lib/object/escape.js'
import type { LeftOut } from '../lib/tree/checkout/left-out.js'
import type { JsonValue } from './json.js'
import { counted } from './text.js'

const shownPaths = 3

/** Names one kind of thing that was left out, and where: the first places, or more. */
export function describeLeftOut(
  { kind, count, paths }: LeftOut<string>,
  { verbose }: { readonly verbose: boolean },
): string {
  const shown = paths
    .slice(0, verbose ? undefined : shownPaths)
    .map(path => (path.length === 0 ? '/' : escapeBytes(path)))
  const more = count > shown.length ? ', …' : ''
  return `${kind} ${counted(count, 'time')}: ${shown.join(', ')}${more}`
}

/** What was left out, as documents have it. */
export function leftOutMembers(leftOut: readonly LeftOut<string>[]): JsonValue {
  return leftOut.map(({ kind, count, paths }) => ({
    kind,
    count,
    paths: paths.map(escapeBytes),
  }))
}
