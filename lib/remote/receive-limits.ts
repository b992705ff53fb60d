import { LimitExceededError } from '../errors.js'
import type { Descriptor } from '../object/descriptor.js'
import { maxMetadataBytes } from '../object/received-object.js'

/** Bounds of what one session receives. */
export type ReceiveLimits = {
  /** Payload bytes of a header, directory or application, which are read into memory. */
  readonly metadataBytes: number
  /** Payload bytes of a file. */
  readonly fileBytes: number
  /** Objects asked for. */
  readonly objects: number
  /** Payload bytes asked for, together. */
  readonly totalBytes: number
  /** References in a tree, as its root announces them. */
  readonly treeObjects: number
  /** Payload bytes of a tree, each reference counted. */
  readonly treeBytes: number
  /** Objects known to be missing and not received yet; each takes some 300 bytes of memory. */
  readonly pendingObjects: number
}

const defaultReceiveLimits: ReceiveLimits = {
  metadataBytes: maxMetadataBytes,
  fileBytes: Number.MAX_SAFE_INTEGER,
  objects: 100_000_000,
  totalBytes: Number.MAX_SAFE_INTEGER,
  treeObjects: Number.POSITIVE_INFINITY,
  treeBytes: Number.POSITIVE_INFINITY,
  pendingObjects: 1_000_000,
}

/** Holds a session to its limits: asked before each object is. */
export class ReceiveBudget {
  readonly #limits: ReceiveLimits
  #objects = 0
  #bytes = 0

  constructor(limits: Partial<ReceiveLimits> = {}) {
    this.#limits = { ...defaultReceiveLimits, ...limits }
  }

  /** Checks what a root announces to be below it; throws LimitExceededError. */
  checkTree({ digest, size, subObjectCount, subObjectsSize }: Descriptor): void {
    const { treeObjects, treeBytes } = this.#limits
    if (subObjectCount >= treeObjects) {
      const found = subObjectCount + 1
      throw exceeded(`tree ${digest} is too large`, treeObjects, found, 'objects')
    }
    const bytes = BigInt(size) + subObjectsSize
    if (bytes > treeBytes) {
      throw exceeded(`tree ${digest} is too large`, treeBytes, Number(bytes), 'bytes')
    }
  }

  /** Takes what `wanted` needs; throws LimitExceededError. */
  take(wanted: Descriptor): void {
    const { metadataBytes, fileBytes, objects, totalBytes } = this.#limits
    const { type, digest, size } = wanted
    const most = type === 'file' ? fileBytes : metadataBytes
    if (size > most) {
      throw exceeded(`${type} ${digest} is too large`, most, size, 'bytes')
    }
    this.#objects += 1
    this.#bytes += size
    if (this.#objects > objects) {
      throw exceeded('too many objects', objects, this.#objects, 'objects')
    }
    if (this.#bytes > totalBytes) {
      throw exceeded('too many bytes in one transfer', totalBytes, this.#bytes, 'bytes')
    }
  }

  /** Checks how many objects are missing; throws LimitExceededError. */
  checkPending(count: number): void {
    const { pendingObjects } = this.#limits
    if (count > pendingObjects) {
      throw exceeded('too many objects are missing', pendingObjects, count, 'objects')
    }
  }
}

function exceeded(
  problem: string,
  limit: number,
  found: number,
  unit: string,
): LimitExceededError {
  return new LimitExceededError(
    `${problem}: expected at most ${limit} ${unit}, found ${found}`,
    { limit, found, unit },
  )
}
