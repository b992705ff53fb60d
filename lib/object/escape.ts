const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

// Control, format, line separators, private use, unassigned: what a terminal may act on
// or not show at all.
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Cs}]/u

/**
 * Shows bytes as text, reversibly: `\` as `\\`, each byte that is not part of printable
 * UTF-8 as `\xHH` in lower case.
 */
export function escapeBytes(bytes: Uint8Array): string {
  const plain = findPlainText(bytes)
  if (plain !== undefined) return plain
  let text = ''
  for (let offset = 0; offset < bytes.length; ) {
    const length = sequenceLength(bytes, offset)
    const character = findPlainText(bytes.subarray(offset, offset + length))
    if (character === undefined) {
      text += bytes[offset] === 0x5c ? '\\\\' : escapeByte(bytes[offset] ?? 0)
      offset += 1
    } else {
      text += character
      offset += length
    }
  }
  return text
}

/**
 * Reads what escapeBytes wrote, and any text without backslashes, as bytes.
 *
 * A backslash that starts no escape stands for itself.
 */
export function unescapeBytes(text: string): Buffer {
  const parts: Buffer[] = []
  for (const [piece] of text.matchAll(/\\\\|\\x[0-9a-fA-F]{2}|[^\\]+|\\/g)) {
    if (piece === '\\\\') parts.push(Buffer.from('\\'))
    else if (piece.startsWith('\\x')) parts.push(Buffer.from(piece.slice(2), 'hex'))
    else parts.push(Buffer.from(piece))
  }
  return Buffer.concat(parts)
}

function findPlainText(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0x5c)) return undefined
  if (bytes.every(byte => byte >= 0x20 && byte < 0x7f)) {
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  }
  try {
    const text = decoder.decode(bytes)
    return unprintable.test(text) ? undefined : text
  } catch (error) {
    if (error instanceof TypeError) return undefined
    throw error
  }
}

function sequenceLength(bytes: Uint8Array, offset: number): number {
  const first = bytes[offset] ?? 0
  if (first < 0x80) return 1
  if (first >= 0xf0) return 4
  if (first >= 0xe0) return 3
  return 2
}

function escapeByte(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`
}
