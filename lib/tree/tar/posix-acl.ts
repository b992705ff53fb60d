/*
 * POSIX access lists: Linux keeps them as extended attributes in a binary form, bsdtar
 * and GNU tar (--acls) write them as text in SCHILY.acl.access and SCHILY.acl.default.
 */

const version = 2
const noId = 0xffff_ffff
const maxEntries = 1024

const tags = {
  userObject: 1,
  user: 2,
  groupObject: 4,
  group: 8,
  mask: 16,
  other: 32,
} as const

type AclEntry = {
  readonly tag: number
  readonly permissions: number
  readonly id: number
}

/** The attribute that holds a list, and the record that holds its text. */
export const aclRecords = [
  { attribute: 'system.posix_acl_access', record: 'SCHILY.acl.access' },
  { attribute: 'system.posix_acl_default', record: 'SCHILY.acl.default' },
] as const

/** The text of a list; undefined for bytes that are none. */
export function findAclText(attribute: Buffer): string | undefined {
  if (attribute.length < 4 || attribute.length % 8 !== 4) return undefined
  if (attribute.readUInt32LE(0) !== version) return undefined
  const parts: string[] = []
  for (let at = 4; at < attribute.length; at += 8) {
    const part = textOf({
      tag: attribute.readUInt16LE(at),
      permissions: attribute.readUInt16LE(at + 2),
      id: attribute.readUInt32LE(at + 4),
    })
    if (part === undefined) return undefined
    parts.push(part)
  }
  return parts.join(',')
}

/**
 * The attribute of a list in text: empty for one that says no more than a mode does.
 *
 * Undefined for what cannot be understood, such as a user who has only a name.
 */
export function findAclAttribute(text: string): Buffer | undefined {
  const entries: AclEntry[] = []
  for (const line of text.split(/[,\n]/, maxEntries + 1)) {
    const part = line.replace(/#.*$/, '').trim()
    if (part === '') continue
    const entry = findEntry(part)
    if (entry === undefined) return undefined
    entries.push(entry)
  }
  if (entries.length > maxEntries) return undefined
  const isPlain = entries.every(
    ({ tag }) =>
      tag === tags.userObject || tag === tags.groupObject || tag === tags.other,
  )
  if (isPlain) return Buffer.alloc(0)
  entries.sort((one, other) => one.tag - other.tag || one.id - other.id)
  const attribute = Buffer.alloc(4 + 8 * entries.length)
  attribute.writeUInt32LE(version)
  for (const [index, { tag, permissions, id }] of entries.entries()) {
    attribute.writeUInt16LE(tag, 4 + 8 * index)
    attribute.writeUInt16LE(permissions, 6 + 8 * index)
    attribute.writeUInt32LE(id, 8 + 8 * index)
  }
  return attribute
}

// bsdtar takes the number from a fourth field, GNU tar from the second one.
function textOf({ tag, permissions, id }: AclEntry): string | undefined {
  const letters = ['r', 'w', 'x']
    .map((letter, bit) => ((permissions & (4 >> bit)) === 0 ? '-' : letter))
    .join('')
  switch (tag) {
    case tags.userObject:
      return `user::${letters}`
    case tags.user:
      return `user:${id}:${letters}:${id}`
    case tags.groupObject:
      return `group::${letters}`
    case tags.group:
      return `group:${id}:${letters}:${id}`
    case tags.mask:
      return `mask::${letters}`
    case tags.other:
      return `other::${letters}`
    default:
      return undefined
  }
}

function findEntry(part: string): AclEntry | undefined {
  const match =
    /^(?:d(?:efault)?:)?(u(?:ser)?|g(?:roup)?|m(?:ask)?|o(?:ther)?):(?:([^:]*):)?([r-][w-][x-])(?::(\d{1,10}))?$/.exec(
      part,
    )
  if (match === null) return undefined
  const [, kind = '', name = '', letters = '', number = name] = match
  const permissions =
    (letters[0] === 'r' ? 4 : 0) +
    (letters[1] === 'w' ? 2 : 0) +
    (letters[2] === 'x' ? 1 : 0)
  const object = { u: tags.userObject, g: tags.groupObject, m: tags.mask, o: tags.other }
  const named = { u: tags.user, g: tags.group } as const
  const first = kind[0]
  if (name === '') {
    const tag =
      first === 'u' || first === 'g' || first === 'm' || first === 'o'
        ? object[first]
        : undefined
    return tag === undefined ? undefined : { tag, permissions, id: noId }
  }
  if ((first !== 'u' && first !== 'g') || !/^\d{1,10}$/.test(number)) return undefined
  const id = Number(number)
  return id >= noId ? undefined : { tag: named[first], permissions, id }
}
