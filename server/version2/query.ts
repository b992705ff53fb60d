import type { Request } from 'express'
import { InvalidArgumentError } from '../../lib/errors.js'

/** The parameters of a request: known ones, each once; throws InvalidArgumentError. */
export function parameters(
  request: Request,
  known: readonly string[],
): ReadonlyMap<string, string> {
  const [, query = ''] = request.originalUrl.split('?', 2)
  const found = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(query)) {
    if (!known.includes(name)) {
      throw new InvalidArgumentError(`unknown parameter "${name.slice(0, 40)}"`, {})
    }
    if (found.has(name)) {
      throw new InvalidArgumentError(`parameter "${name}" stands twice`, { name })
    }
    found.set(name, value)
  }
  return found
}

/** A number from 1 to `most`; throws InvalidArgumentError. */
export function numberParameter(
  query: ReadonlyMap<string, string>,
  name: string,
  { most, usual }: { most: number; usual: number },
): number {
  const text = query.get(name)
  if (text === undefined) return usual
  const value = /^\d{1,15}$/.test(text) ? Number(text) : 0
  if (value >= 1 && value <= most) return value
  throw new InvalidArgumentError(
    `invalid ${name}: expected 1 to ${most}, found "${text.slice(0, 40)}"`,
    { name, most },
  )
}
