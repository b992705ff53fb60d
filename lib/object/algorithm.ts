/** A digest algorithm, named as on the command line and in a repository's config. */
export type AlgorithmName =
  | 'sha224'
  | 'sha256'
  | 'sha384'
  | 'sha512'
  | 'sha512-224'
  | 'sha512-256'
  | 'sha3-224'
  | 'sha3-256'
  | 'sha3-384'
  | 'sha3-512'
  | 'blake3'

/** A digest algorithm (format section 1). */
export type Algorithm = {
  /** First byte of every digest of this algorithm. */
  readonly id: number
  readonly name: AlgorithmName
  /** Bytes of the hash alone, without the id byte. */
  readonly hashBytes: number
}

const table: readonly Algorithm[] = [
  { id: 0, name: 'sha224', hashBytes: 28 },
  { id: 1, name: 'sha256', hashBytes: 32 },
  { id: 2, name: 'sha384', hashBytes: 48 },
  { id: 3, name: 'sha512', hashBytes: 64 },
  { id: 4, name: 'sha512-224', hashBytes: 28 },
  { id: 5, name: 'sha512-256', hashBytes: 32 },
  { id: 6, name: 'sha3-224', hashBytes: 28 },
  { id: 7, name: 'sha3-256', hashBytes: 32 },
  { id: 8, name: 'sha3-384', hashBytes: 48 },
  { id: 9, name: 'sha3-512', hashBytes: 64 },
  { id: 10, name: 'blake3', hashBytes: 32 },
]

/** Every known algorithm, in order of id. */
export const algorithms: readonly Algorithm[] = table

/** Digest bytes (id byte included) of the longest known digest. */
export const maxDigestBytes = 65

/** Finds an algorithm by the id byte of a digest. */
export function findAlgorithmById(id: number): Algorithm | undefined {
  return table[id]
}

/** Finds an algorithm by its name. */
export function findAlgorithmByName(name: string): Algorithm | undefined {
  return table.find(algorithm => algorithm.name === name)
}
