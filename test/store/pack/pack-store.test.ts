import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { InvalidObjectError } from '../../../lib/errors.js'
import type { Digest } from '../../../lib/object/digest.js'
import { PackFile } from '../../../lib/store/pack/pack-file.js'
import {
  openPackStore,
  type PackStoreOptions,
} from '../../../lib/store/pack/pack-store.js'
import {
  type StoreUnderTest,
  testObjectStore,
} from '../../support/object-store-contract.js'

function underTest(options: PackStoreOptions) {
  return async (t: Test): Promise<StoreUnderTest> => {
    const root = t.testdir({ temp: {} })
    const temp = join(root, 'temp')
    const store = openPackStore(root, options)
    t.teardown(() => store[Symbol.dispose]())
    return {
      store,
      newFolder: () => mkdtempSync(`${temp}/`),
      leftovers: () => readdirSync(temp).flatMap(name => readdirSync(join(temp, name))),
      damage: (digest, how) => damage(join(root, 'packs'), digest, how),
    }
  }
}

/** Changes the stored bytes of one object in the pack that holds it. */
function damage(packs: string, digest: Digest, how: 'flip' | 'cut' | 'empty'): void {
  for (const name of readdirSync(packs)) {
    const path = join(packs, name)
    const place = findPlace(path, digest)
    if (place === undefined) continue
    const last = place.offset + place.storedSize - 1
    if (how !== 'flip') truncateSync(path, how === 'cut' ? last : 0)
    else flip(path, last)
  }
}

function findPlace(path: string, digest: Digest) {
  try {
    const pack = PackFile.open(path)
    const place = pack.find(digest)
    pack.retire()
    return place
  } catch (error) {
    // Damaged before.
    if (error instanceof InvalidObjectError) return undefined
    throw error
  }
}

function flip(path: string, at: number): void {
  const fd = openSync(path, 'r+')
  const byte = Buffer.alloc(1)
  readSync(fd, byte, 0, 1, at)
  byte[0] = (byte[0] ?? 0) ^ 1
  writeSync(fd, byte, 0, 1, at)
  closeSync(fd)
}

testObjectStore(t, { name: 'PackStore', open: underTest({}) })
testObjectStore(t, {
  name: 'PackStore, compressing',
  open: underTest({ compression: { codec: 'zstd', level: 1 } }),
})
