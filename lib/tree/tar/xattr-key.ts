/*
 * The key of an extended attribute stands in the key of a record, which ends at the first
 * "=". GNU tar writes that as %3D, and "%" as %25.
 */

/** Encodes a key as GNU tar does, byte for character. */
export function encodeXattrKey(key: Buffer): Buffer {
  if (!key.includes(0x3d) && !key.includes(0x25)) return key
  const text = key.toString('latin1').replaceAll('%', '%25').replaceAll('=', '%3D')
  return Buffer.from(text, 'latin1')
}

/** Decodes a key, byte for character; other escapes stand for themselves. */
export function decodeXattrKey(key: string): string {
  return key.replaceAll(/%3D|%25/g, found => (found === '%25' ? '%' : '='))
}

/** Decodes every %HH, byte for character. */
export function unescapePercent(text: string): string {
  return text.replaceAll(/%([0-9a-fA-F]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
}
