import { RepositoryNotFoundError } from '../lib/errors.js'
import { escapeBytes } from '../lib/object/escape.js'
import { findTagName } from '../lib/object/tag-name.js'

/** The place of a repository below the served root: one valid name a folder. */
export type RepositoryPath = readonly string[]

/** Names in the longest path. */
export const maxDepth = 16

// Routes of this server, now and later, may stand at or below any of them.
const reserved = new Set(['v2', 'healthz', 'readyz', 'metrics'])

/**
 * Parses the path of a request as that of a repository; throws RepositoryNotFoundError.
 *
 * Each name follows the rule of tag names, so none can be `..`, hidden, or hold a slash.
 */
export function parseRepositoryPath(urlPath: string): RepositoryPath {
  const inner = urlPath.replace(/^\//, '').replace(/\/$/, '')
  if (inner === '') return []
  const names = inner.split('/').map(decodeName)
  const isValid = names.every(name => name !== undefined && isRepositoryName(name))
  if (!urlPath.startsWith('/') || names.length > maxDepth || !isValid) {
    throw noRepository(urlPath)
  }
  return names.filter(name => name !== undefined)
}

/** Whether a folder's name can stand in the path of a repository. */
export function isRepositoryName(name: string): boolean {
  return findTagName(name) !== undefined && !reserved.has(name)
}

/** The error for a path that leads to no repository. */
export function noRepository(urlPath: string): RepositoryNotFoundError {
  const shown = escapeBytes(Buffer.from(urlPath.slice(0, 200)))
  return new RepositoryNotFoundError(`no repository at "${shown}"`, { repository: shown })
}

function decodeName(text: string): string | undefined {
  try {
    return findTagName(decodeURIComponent(text))
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw error
  }
}
