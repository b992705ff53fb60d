import { InvalidArgumentError } from '../lib/errors.js'
import type { Labels } from '../lib/snapshot/snapshot.js'

/** Reads `KEY=VALUE`; an empty value takes the label away. Throws InvalidArgumentError. */
export function parseLabelArguments(texts: readonly string[]): Labels {
  return new Map(
    texts.map(text => {
      const end = text.indexOf('=')
      if (end > 0) return [text.slice(0, end), text.slice(end + 1)]
      throw new InvalidArgumentError(
        `invalid label: expected KEY=VALUE, found ${JSON.stringify(text)}`,
        { found: text },
      )
    }),
  )
}
