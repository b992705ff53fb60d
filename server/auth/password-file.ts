import { readFileSync, statSync } from 'node:fs'
import { InvalidArgumentError } from '../../lib/errors.js'
import { named } from '../../lib/repository/system-failure.js'

const maxCost = 15
const bcryptRule = /^\$2[aby]\$(\d\d)\$[./0-9A-Za-z]{53}$/
const nameRule = /^[^:\s\p{Cc}]{1,128}$/u

// What is compared where there is no such user, so that it takes as long.
const nobodysHash = '$2b$10$zJsjJJPiGNdJLnlnOm9CWeU.cBuTDLB1nZHxVCuA5AtHaL83sS4W6'

/** The users of a server: lines `NAME:HASH` as `htpasswd -B` makes them. */
export class PasswordFile {
  readonly path: string
  #state: bigint | undefined
  #hashes: ReadonlyMap<string, string> = new Map()

  /** Throws InvalidArgumentError for another kind of hash, or what cannot be read. */
  constructor(path: string) {
    this.path = path
    this.#load()
  }

  /** The hash of a user, or one that takes as long to compare and fits nothing. */
  hashOf(user: string): { readonly hash: string; readonly exists: boolean } {
    this.#load()
    const hash = this.#hashes.get(user)
    return { hash: hash ?? nobodysHash, exists: hash !== undefined }
  }

  #load(): void {
    const { path } = this
    try {
      const { ctimeNs } = statSync(path, { bigint: true })
      if (ctimeNs === this.#state) return
      this.#hashes = parse(readFileSync(path, 'utf8'), path)
      this.#state = ctimeNs
    } catch (error) {
      throw named(error, 'read', path)
    }
  }
}

function parse(text: string, path: string): Map<string, string> {
  const hashes = new Map<string, string>()
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    const name = line.slice(0, colon)
    const hash = line.slice(colon + 1).trim()
    const where = `${path}:${index + 1}`
    if (colon < 0 || !nameRule.test(name)) {
      throw new InvalidArgumentError(`${where}: expected NAME:HASH`, { path })
    }
    const cost = Number(bcryptRule.exec(hash)?.[1] ?? 0)
    if (cost < 4 || cost > maxCost) {
      throw new InvalidArgumentError(
        `${where}: expected a bcrypt hash of cost 4 to ${maxCost} for ${name} (htpasswd -B)`,
        { path, name },
      )
    }
    if (hashes.has(name)) {
      throw new InvalidArgumentError(`${where}: ${name} stands twice`, { path, name })
    }
    hashes.set(name, hash)
  }
  return hashes
}
