import { InvalidArgumentError } from '../../lib/errors.js'
import {
  matchesName,
  type NamePattern,
  parseNamePattern,
} from '../../lib/object/name-pattern.js'

/**
 * A pattern for the paths of repositories: names joined by `/`, in which `*` stands for any
 * characters of one name, and the name `**` for any number of names, none too.
 */
export type RepositoryPattern = {
  readonly text: string
  readonly parts: readonly (NamePattern | typeof anyNames)[]
}

const anyNames = '**'
const maxParts = 16

/** Parses a pattern; the empty one is the served root itself. Throws InvalidArgumentError. */
export function parseRepositoryPattern(text: string): RepositoryPattern {
  const names = text === '' ? [] : text.split('/')
  if (names.length > maxParts) {
    throw new InvalidArgumentError(
      `invalid pattern ${JSON.stringify(text.slice(0, 200))}: expected at most ` +
        `${maxParts} names, found ${names.length}`,
      { found: names.length },
    )
  }
  const parts = names.map(name => (name === anyNames ? anyNames : parseNamePattern(name)))
  return { text, parts }
}

/** Whether the path of a repository fits a pattern. */
export function matchesRepository(
  { parts }: RepositoryPattern,
  repositoryPath: string,
): boolean {
  const names = repositoryPath === '' ? [] : repositoryPath.split('/')
  // Which numbers of leading names the parts so far can stand for.
  let reached = new Set([0])
  for (const part of parts) {
    const next = new Set<number>()
    for (const count of reached) {
      const name = names[count]
      if (part === anyNames) {
        for (let more = count; more <= names.length; more++) next.add(more)
      } else if (name !== undefined && matchesName(part, name)) next.add(count + 1)
    }
    reached = next
  }
  return reached.has(names.length)
}
