/** What stands around a quoted text. */
export type QuoteMark = '"' | '/' | '|'

/** A quoted text: its bytes, each as one character, and where it ends. */
type Quoted = { readonly value: string; readonly end: number }

// As in the Go language, but for the mark.
const escape =
  /\\(?:([abfnrtv\\"/|])|([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y

const controls: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
}

/** Finds a quoted text that begins at a place; undefined when it is none. */
export function findQuoted(
  text: string,
  start: number,
  mark: QuoteMark,
): Quoted | undefined {
  let bytes = ''
  for (let at = start + 1; at < text.length; ) {
    const point = text.codePointAt(at) ?? 0
    const character = String.fromCodePoint(point)
    if (character === mark) return { value: bytes, end: at + 1 }
    if (character === '\n') return undefined
    if (character !== '\\') {
      bytes += utf8(point)
      at += character.length
      continue
    }
    escape.lastIndex = at
    const found = escape.exec(text)
    const decoded = found === null ? undefined : decodeEscape(found, mark)
    if (found === null || decoded === undefined) return undefined
    bytes += decoded
    at += found[0].length
  }
  return undefined
}

function decodeEscape(found: RegExpExecArray, mark: QuoteMark): string | undefined {
  const [, single, octal, byte, short, long] = found
  if (single !== undefined) return decodeSingle(single, mark)
  if (octal !== undefined) {
    const code = Number.parseInt(octal, 8)
    return code > 255 ? undefined : String.fromCharCode(code)
  }
  if (byte !== undefined) return String.fromCharCode(Number.parseInt(byte, 16))
  const point = Number.parseInt(short ?? long ?? '', 16)
  return point > 0x10ffff ? undefined : utf8(point)
}

function decodeSingle(character: string, mark: QuoteMark): string | undefined {
  const control = controls[character]
  if (control !== undefined) return String.fromCharCode(control)
  return character === '\\' || character === mark ? character : undefined
}

// Half of a pair becomes U+FFFD, as it does in Go.
function utf8(point: number): string {
  return Buffer.from(String.fromCodePoint(point)).toString('latin1')
}
