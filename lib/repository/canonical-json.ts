/** What canonical JSON holds here. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue }

/** Encodes JSON in its one form: keys sorted at every level, no blanks, a newline at the end. */
export function encodeCanonicalJson(value: JsonValue): Buffer {
  return Buffer.from(`${JSON.stringify(sortKeys(value))}\n`)
}

function sortKeys(value: JsonValue): JsonValue {
  if (typeof value !== 'object' || value === null) return value
  if (isList(value)) return value.map(sortKeys)
  const keys = Object.keys(value).toSorted()
  return Object.fromEntries(keys.map(key => [key, sortKeys(value[key] ?? null)]))
}

// Array.isArray does not narrow a readonly array.
function isList(value: object): value is readonly JsonValue[] {
  return Array.isArray(value)
}
