import { unescapeBytes } from '../lib/object/escape.js'

/** A REF and, where one was given, a path inside its tree. */
export type RefPath = {
  readonly ref: string
  /** Undefined without a colon; without a leading slash, maybe empty. */
  readonly path: Buffer | undefined
}

/**
 * Splits `REF:PATH` at the first colon, which neither tag names nor digests hold.
 *
 * The path is escaped as output is: `\xHH` for a byte, `\\` for a backslash.
 */
export function splitRefPath(text: string): RefPath {
  const colon = text.indexOf(':')
  if (colon < 0) return { ref: text, path: undefined }
  return { ref: text.slice(0, colon), path: unescapeBytes(text.slice(colon + 1)) }
}
