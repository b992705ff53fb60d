import { RE2JS } from 're2js'
import { LimitExceededError } from '../../errors.js'
import type { SnapshotInfo } from '../snapshot.js'
import { parseFilter } from './filter-parser.js'
import type { FilterSelector } from './filter-selector.js'

/** Whether a snapshot is one of those that were asked for. */
export type Filter = (info: SnapshotInfo) => boolean

type Condition = (value: string | undefined) => boolean

const maxFilters = 1000

/**
 * Parses filters, of which one has to hold; without any, all snapshots are asked for.
 *
 * Throws InvalidArgumentError for one outside the grammar of containerd's filters.
 */
export function parseFilters(texts: readonly string[]): Filter {
  if (texts.length > maxFilters) {
    throw new LimitExceededError(
      `too many filters: expected at most ${maxFilters}, found ${texts.length}`,
      { expected: maxFilters, found: texts.length },
    )
  }
  const filters = texts.map(text => createFilter(parseFilter(text)))
  if (filters.length === 0) return () => true
  return info => filters.some(holds => holds(info))
}

function createFilter(selectors: readonly FilterSelector[]): Filter {
  const checks = selectors.map(({ path, condition }) => {
    const find = createField(path)
    const holds = createCondition(condition)
    return (info: SnapshotInfo) => holds(find(info))
  })
  return info => checks.every(holds => holds(info))
}

// Values are bytes, each as one character.
function createField([first, ...rest]: readonly string[]): (
  info: SnapshotInfo,
) => string | undefined {
  switch (first) {
    case 'name':
      return info => info.name
    case 'parent':
      return info => info.parent
    case 'kind':
      return info => info.kind
    case 'labels': {
      const label = Buffer.from(rest.join('.'), 'latin1').toString()
      return ({ labels }) => {
        const value = labels.get(label)
        return value === undefined ? undefined : Buffer.from(value).toString('latin1')
      }
    }
    case undefined:
    default:
      return () => undefined
  }
}

function createCondition(condition: FilterSelector['condition']): Condition {
  switch (condition.kind) {
    case 'present':
      return value => value !== undefined
    case 'equal':
      return value => value === condition.value
    case 'different':
      return value => (value ?? '') !== condition.value
    case 'matching':
      return createPattern(condition.value)
    default:
      return condition satisfies never
  }
}

// A pattern of a client must not cost more than time in proportion to what it is matched
// against, which no pattern of the language itself promises. A broken one matches nothing.
function createPattern(source: string): Condition {
  const pattern = findPattern(source)
  if (pattern === undefined) return () => false
  return (value = '') => pattern.test(Buffer.from(value, 'latin1').toString())
}

function findPattern(source: string): RE2JS | undefined {
  try {
    const bytes = Buffer.from(source, 'latin1')
    return RE2JS.compile(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    // No UTF-8, or none of its errors that have a common class.
    return undefined
  }
}
