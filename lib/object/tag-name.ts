import { InvalidTagNameError } from '../errors.js'
import { findDigest } from './digest.js'
import { escapeBytes } from './escape.js'

declare const tagNameBrand: unique symbol

/** A valid tag name (format section 2.6): safe as one path component and in a URL. */
export type TagName = string & { readonly [tagNameBrand]: true }

/** Characters of the longest tag name. */
export const maxTagNameLength = 128

/**
 * Parses a tag name; throws InvalidTagNameError.
 *
 * A name that is itself a full digest is refused: it could never be told from one.
 */
export function parseTagName(text: string): TagName {
  const name = findTagName(text)
  if (name !== undefined) return name
  const shown = escapeBytes(Buffer.from(text.slice(0, 140)))
  const problem =
    findDigest(text) === undefined
      ? 'expected 1 to 128 of letters, digits, "_", "." and "-", the first no "." or "-"'
      : 'it is a full digest'
  throw new InvalidTagNameError(`invalid tag name "${shown}": ${problem}`, {
    found: shown,
  })
}

/** Parses a tag name; undefined for anything that is not one. */
export function findTagName(text: string): TagName | undefined {
  if (!/^[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}$/.test(text)) return undefined
  return findDigest(text) === undefined ? (text as TagName) : undefined
}
