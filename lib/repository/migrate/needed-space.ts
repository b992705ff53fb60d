import { statfsSync } from 'node:fs'
import { StorageFullError } from '../../errors.js'
import type { ObjectStore } from '../../store/object-store.js'
import type { StoreLayout } from '../config.js'

const block = 4096
// A record and a row of the index, and now and then filling.
const packedOverhead = 160
// An object's file, and the folders that most often only it needs.
const looseInodes = 3

/** Throws StorageFullError when what a store holds would not fit beside it once more. */
export async function checkRoom(
  root: string,
  objects: ObjectStore,
  layout: StoreLayout,
): Promise<void> {
  let bytes = 0
  let count = 0
  for await (const digests of objects.list()) {
    count += digests.length
    for (const info of await objects.stat(digests)) {
      const size = info?.size ?? 0
      bytes +=
        layout === 'pack'
          ? (size < 4 * block ? size : roundUp(size)) + packedOverhead
          : roundUp(size + 1) + (looseInodes - 1) * block
    }
  }
  const { bsize, bavail, files, ffree } = statfsSync(root)
  expect(root, 'bytes', bytes, bsize * bavail)
  // Filesystems that make inodes as needed count none.
  if (files > 0 && layout === 'loose') {
    expect(root, 'inodes', looseInodes * count, ffree)
  }
}

function roundUp(size: number): number {
  return Math.ceil(size / block) * block
}

function expect(path: string, what: string, expected: number, found: number): void {
  if (found >= expected) return
  throw new StorageFullError(
    `cannot migrate ${path}: its objects have to be there twice for a while: expected ` +
      `${expected} ${what} free, found ${found}`,
    { path, expected, found },
  )
}
