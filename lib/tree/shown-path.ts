import { escapeBytes } from '../object/escape.js'

const maxShownBytes = 400

/** A path inside a tree as an error message shows it: escaped, and cut in its middle. */
export function showPath(path: Uint8Array): string {
  if (path.length === 0) return '/'
  if (path.length <= maxShownBytes) return escapeBytes(path)
  const half = maxShownBytes / 2
  const hidden = path.length - maxShownBytes
  const start = escapeBytes(path.subarray(0, half))
  return `${start}…(${hidden} more bytes)…${escapeBytes(path.subarray(-half))}`
}
