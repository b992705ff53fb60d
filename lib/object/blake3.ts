import { createRequire } from 'node:module'
import type * as NativeModule from '@napi-rs/blake-hash'
import type * as PureModule from '@noble/hashes/blake3.js'
import type * as WasmModule from 'blake3'

/** A hash in progress. */
export type Hash = {
  update(bytes: Uint8Array): void
  /** The hash in hex; nothing can be added afterwards. */
  digest(): string
}

/** One way to compute BLAKE3-256. */
export type Blake3Implementation = {
  readonly name: 'native' | 'wasm' | 'pure'
  /** Starts a hash. */
  start(): Hash
  /** Hashes one byte and the bytes behind it in one go; gives hex. */
  hash(first: number, rest: Uint8Array): string
  /** Hashes bytes in one go; gives hex. */
  whole(bytes: Uint8Array): string
}

const require = createRequire(import.meta.url)

/** Finds the implementation of a name; undefined where its package cannot be loaded. */
export function findBlake3(
  name: Blake3Implementation['name'],
): Blake3Implementation | undefined {
  if (name === 'pure') return loadPure()
  try {
    return name === 'native'
      ? native(require('@napi-rs/blake-hash') as typeof NativeModule)
      : wasm(require('blake3') as typeof WasmModule)
  } catch {
    // A platform without prebuilt binaries: the loader throws what it likes.
    return undefined
  }
}

/** Loads the fastest implementation that this platform has. */
export function loadBlake3(): Blake3Implementation {
  return findBlake3('native') ?? findBlake3('wasm') ?? loadPure()
}

// Only where it is needed: loading it takes longer than hashing a small tree.
function loadPure(): Blake3Implementation {
  return pure(require('@noble/hashes/blake3.js') as typeof PureModule)
}

// A lone byte in front makes the hasher take all that follows off its fast path, so up to
// this size it is cheaper to copy.
const copyLimit = 64 * 1024

function native({ Blake3Hasher }: typeof NativeModule): Blake3Implementation {
  // Making a hasher costs more than hashing a small object: one is kept for whole hashes.
  const kept = new Blake3Hasher()
  const joined = Buffer.allocUnsafeSlow(1 + copyLimit)
  return {
    name: 'native',
    start() {
      const hasher = new Blake3Hasher()
      return {
        update: bytes => void hasher.update(asBuffer(bytes)),
        digest: () => hasher.digest('hex'),
      }
    },
    hash(first, rest) {
      kept.reset()
      joined[0] = first
      if (rest.length <= copyLimit) {
        joined.set(rest, 1)
        kept.update(joined.subarray(0, 1 + rest.length))
      } else {
        kept.update(joined.subarray(0, 1))
        kept.update(asBuffer(rest))
      }
      return kept.digest('hex')
    },
    whole(bytes) {
      kept.reset()
      kept.update(asBuffer(bytes))
      return kept.digest('hex')
    },
  }
}

function wasm({ createHash }: typeof WasmModule): Blake3Implementation {
  const start = (): Hash => {
    const hasher = createHash()
    return {
      update: bytes => void hasher.update(asBuffer(bytes)),
      digest: () => hasher.digest('hex'),
    }
  }
  return { name: 'wasm', start, ...wholeBy(start) }
}

function pure({ blake3 }: typeof PureModule): Blake3Implementation {
  const start = (): Hash => {
    const hasher = blake3.create({})
    return {
      update: bytes => void hasher.update(bytes),
      digest: () => asBuffer(hasher.digest()).toString('hex'),
    }
  }
  return { name: 'pure', start, ...wholeBy(start) }
}

function wholeBy(start: () => Hash): Pick<Blake3Implementation, 'hash' | 'whole'> {
  const hashAll = (...pieces: readonly Uint8Array[]): string => {
    const hash = start()
    for (const piece of pieces) hash.update(piece)
    return hash.digest()
  }
  return {
    hash: (first, rest) => hashAll(Uint8Array.of(first), rest),
    whole: bytes => hashAll(bytes),
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
