const maxSafe = BigInt(Number.MAX_SAFE_INTEGER)

/**
 * Reads a numeric field: octal digits, or base-256 where its first bit is set.
 *
 * An empty field is 0. Undefined for anything else, and for what a double does not hold.
 */
export function findTarNumber(field: Uint8Array): number | undefined {
  const first = field[0] ?? 0
  if ((first & 0x80) !== 0) return findBinary(field)
  let at = 0
  while (field[at] === 0x20) at++
  let value = 0
  for (; at < field.length; at++) {
    const digit = (field[at] ?? 0) - 0x30
    if (digit < 0 || digit > 7) break
    value = value * 8 + digit
  }
  // Nothing but blanks and NULs may follow: two readers could differ on anything else.
  for (; at < field.length; at++) {
    if (field[at] !== 0 && field[at] !== 0x20) return undefined
  }
  return Number.isSafeInteger(value) ? value : undefined
}

/**
 * Writes a number as octal digits with a NUL behind them; false where they have no room.
 */
export function writeOctal(field: Buffer, value: number): boolean {
  const digits = field.length - 1
  if (!Number.isSafeInteger(value) || value < 0 || value >= 8 ** digits) return false
  field.write(value.toString(8).padStart(digits, '0'), 'latin1')
  field[digits] = 0
  return true
}

// The first bit says that it is binary, the second is the sign of two's complement.
function findBinary(field: Uint8Array): number | undefined {
  const first = field[0] ?? 0
  const isNegative = (first & 0x40) !== 0
  let value = BigInt(first & 0x3f) - (isNegative ? 0x40n : 0n)
  for (const byte of field.subarray(1)) value = value * 256n + BigInt(byte)
  return value > maxSafe || value < -maxSafe ? undefined : Number(value)
}
