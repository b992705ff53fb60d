import { InvalidArgumentError } from '../errors.js'
import { maxTagNameLength } from './tag-name.js'

declare const namePatternBrand: unique symbol

/** A pattern for names: each `*` stands for any number of characters. */
export type NamePattern = string & { readonly [namePatternBrand]: true }

/** Parses a pattern for tag names and folder names; throws InvalidArgumentError. */
export function parseNamePattern(text: string): NamePattern {
  if (text.length <= maxTagNameLength && /^[0-9A-Za-z_*][0-9A-Za-z_.*-]*$/.test(text)) {
    return text as NamePattern
  }
  const shown = JSON.stringify(text.slice(0, 140))
  throw new InvalidArgumentError(
    `invalid pattern ${shown}: expected 1 to ${maxTagNameLength} of letters, digits, ` +
      '"_", ".", "-" and "*", the first no "." or "-"',
    { found: shown },
  )
}

/** Whether a name fits a pattern, in time that grows with both lengths at most. */
export function matchesName(pattern: NamePattern, name: string): boolean {
  let at = 0
  let place = 0
  // Where the last star stands, and up to where in the name it reaches.
  let star = -1
  let reach = 0
  while (at < name.length) {
    if (pattern[place] === '*') {
      star = place
      reach = at
      place += 1
    } else if (pattern[place] === name[at]) {
      place += 1
      at += 1
    } else if (star >= 0) {
      place = star + 1
      reach += 1
      at = reach
    } else return false
  }
  while (pattern[place] === '*') place += 1
  return place === pattern.length
}
