import { permissionsOf } from '../../object/file-mode.js'
import type { Header } from '../../object/header.js'
import type { OwnerMap } from './owner-map.js'

/** One extended attribute that a file gets. */
type FileXattr = {
  readonly key: Uint8Array
  readonly value: Uint8Array
  /** Whether it has to be set before the mode may forbid it. */
  readonly isUser: boolean
}

/** What a regular file gets beside content and time; undefined owner: the process's own. */
export type FileAttributes = {
  readonly owner: { readonly uid: number; readonly gid: number } | undefined
  readonly permissions: number
  readonly xattrs: readonly FileXattr[]
}

const userNamespace = 'user.'
const keptHeaders = 4096

/** Tells what files get, for all that this process can be expected to be able to set. */
export class AttributePlanner {
  readonly #ownerMap: OwnerMap | undefined
  readonly #uid = process.geteuid?.() ?? -1
  readonly #gid = process.getegid?.() ?? -1
  readonly #known = new Map<Header, FileAttributes | undefined>()

  constructor(ownerMap: OwnerMap | undefined) {
    this.#ownerMap = ownerMap
  }

  /** Undefined where part of it may have to be left out. */
  find(header: Header): FileAttributes | undefined {
    const known = this.#known.get(header)
    if (known !== undefined || this.#known.has(header)) return known
    if (this.#known.size >= keptHeaders) this.#known.clear()
    const attributes = this.#plan(header)
    this.#known.set(header, attributes)
    return attributes
  }

  #plan(header: Header): FileAttributes | undefined {
    const uid = this.#ownerMap?.findUid(header.uid) ?? header.uid
    const gid = this.#ownerMap?.findGid(header.gid) ?? header.gid
    const isOwn = uid === this.#uid && gid === this.#gid
    const isPlain = isOwn && header.xattrs.length === 0
    if (this.#uid !== 0 && !isPlain) return undefined
    return {
      owner: isOwn ? undefined : { uid, gid },
      permissions: permissionsOf(header.mode),
      xattrs: header.xattrs.map(({ key, value }) => ({
        key,
        value,
        isUser: key.toString('latin1').startsWith(userNamespace),
      })),
    }
  }
}
