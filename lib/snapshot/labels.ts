import { InvalidArgumentError } from '../errors.js'
import type { Labels } from './snapshot.js'

const prefix = 'labels.'

// All labels of a snapshot have to fit into one record of its log.
const maxLabelBytes = 512 * 1024

/** Labels as they are kept: those of an empty value are none. */
export function keptLabels(labels: Labels = new Map()): Labels {
  const kept = new Map([...labels].filter(([, value]) => value !== ''))
  checkLabels(kept)
  return kept
}

/**
 * Labels after an update: those of the paths take their value from `given`, or go where it
 * has none. Throws InvalidArgumentError for a path that names no label.
 */
export function updatedLabels(
  labels: Labels,
  given: Labels,
  paths: readonly string[] = [],
): Labels {
  const wrong = paths.find(path => path !== 'labels' && !path.startsWith(prefix))
  if (wrong !== undefined) {
    throw new InvalidArgumentError(
      `cannot update ${JSON.stringify(wrong)}: only labels and labels.KEY can change`,
      { path: wrong },
    )
  }
  let result = new Map(paths.length === 0 ? given : labels)
  for (const path of paths) {
    if (path === 'labels') result = new Map(given)
    else setLabel(result, path.slice(prefix.length), given)
  }
  return keptLabels(result)
}

function setLabel(labels: Map<string, string>, key: string, given: Labels): void {
  const value = given.get(key)
  if (value === undefined) labels.delete(key)
  else labels.set(key, value)
}

function checkLabels(labels: Labels): void {
  if (labels.has('')) throw new InvalidArgumentError('a label has an empty key')
  let bytes = 0
  for (const [key, value] of labels) {
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value)
  }
  if (bytes <= maxLabelBytes) return
  throw new InvalidArgumentError(
    `the labels are too large: expected at most ${maxLabelBytes} bytes, found ${bytes}`,
    { found: bytes, expected: maxLabelBytes },
  )
}
