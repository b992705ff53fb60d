/** What a document may hold; bigint becomes a number when that is exact, else a string. */
export type JsonValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue }

/** One line of JSON. Members that are undefined are left out. */
export function formatJson(value: JsonValue): string {
  return JSON.stringify(value, (_key, member: unknown) => {
    if (typeof member !== 'bigint') return member
    const number = Number(member)
    return Number.isSafeInteger(number) ? number : String(member)
  })
}
