import { InvalidArgumentError } from '../lib/errors.js'

/** Parses a whole number that a flag takes; throws InvalidArgumentError. */
export function parseInteger(text: string, flag: string): bigint {
  if (!/^-?\d{1,18}$/.test(text)) {
    throw new InvalidArgumentError(
      `invalid ${flag}: expected a whole number, found ${JSON.stringify(text)}`,
      { flag, found: text },
    )
  }
  return BigInt(text)
}
