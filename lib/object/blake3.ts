import { createRequire } from 'node:module'
import type * as NativeModule from '@napi-rs/blake-hash'
import { blake3 as pureBlake3 } from '@noble/hashes/blake3.js'
import type * as WasmModule from 'blake3'

/** A hash in progress. */
export type Hash = {
  update(bytes: Uint8Array): void
  digest(): Buffer
}

/** One way to compute BLAKE3-256. */
export type Blake3Implementation = {
  readonly name: 'native' | 'wasm' | 'pure'
  /** Starts a hash. */
  start(): Hash
  /** Hashes the concatenation of the parts in one go. */
  hash(parts: readonly Uint8Array[]): Buffer
}

const require = createRequire(import.meta.url)

/** Finds the implementation of a name; undefined where its package cannot be loaded. */
export function findBlake3(
  name: Blake3Implementation['name'],
): Blake3Implementation | undefined {
  if (name === 'pure') return pure()
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
  return findBlake3('native') ?? findBlake3('wasm') ?? pure()
}

function native({ Blake3Hasher }: typeof NativeModule): Blake3Implementation {
  // Making a hasher costs more than hashing a small object: one is kept for whole hashes.
  const kept = new Blake3Hasher()
  return {
    name: 'native',
    start() {
      const hasher = new Blake3Hasher()
      return {
        update: bytes => void hasher.update(asBuffer(bytes)),
        digest: () => hasher.digestBuffer(),
      }
    },
    hash(parts) {
      kept.reset()
      for (const part of parts) kept.update(asBuffer(part))
      return kept.digestBuffer()
    },
  }
}

function wasm({ createHash }: typeof WasmModule): Blake3Implementation {
  const start = (): Hash => {
    const hasher = createHash()
    return {
      update: bytes => void hasher.update(asBuffer(bytes)),
      digest: () => Buffer.from(hasher.digest()),
    }
  }
  return { name: 'wasm', start, hash: parts => hashParts(start(), parts) }
}

function pure(): Blake3Implementation {
  return { name: 'pure', start: startPure, hash: parts => hashParts(startPure(), parts) }
}

function startPure(): Hash {
  const hasher = pureBlake3.create({})
  return {
    update: bytes => void hasher.update(bytes),
    digest: () => Buffer.from(hasher.digest()),
  }
}

function hashParts(hash: Hash, parts: readonly Uint8Array[]): Buffer {
  for (const part of parts) hash.update(part)
  return hash.digest()
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
