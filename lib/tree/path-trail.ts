const slash = Buffer.from('/')

/** The names that lead to where a walk stands, joined only when a path is needed. */
export class PathTrail {
  readonly #names: Buffer[] = []

  constructor(start: Uint8Array = Buffer.alloc(0)) {
    if (start.length > 0) this.#names.push(Buffer.from(start))
  }

  enter(name: Buffer): void {
    this.#names.push(name)
  }

  leave(): void {
    this.#names.pop()
  }

  /** The path of the folder that the walk stands in; empty for the root. */
  get here(): Buffer {
    return join(this.#names)
  }

  /** The path of one name in that folder. */
  at(name: Buffer): Buffer {
    return join([...this.#names, name])
  }
}

// The root's own name is empty.
function join(names: readonly Buffer[]): Buffer {
  const parts = names.filter(name => name.length > 0)
  return Buffer.concat(parts.flatMap((name, at) => (at === 0 ? [name] : [slash, name])))
}
