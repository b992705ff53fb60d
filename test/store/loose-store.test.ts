import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Digest } from '../../lib/object/digest.js'
import { openLooseStore } from '../../lib/store/loose-store.js'
import { type StoreUnderTest, testObjectStore } from '../support/object-store-contract.js'

function pathOf(root: string, digest: Digest): string {
  const levels = [digest.slice(0, 2), digest.slice(2, 4), digest.slice(4, 6)]
  return join(root, 'objects', ...levels, digest.slice(6))
}

async function openUnderTest(t: Test): Promise<StoreUnderTest & { root: string }> {
  const root = t.testdir({ temp: {} })
  const temp = join(root, 'temp')
  return {
    root,
    store: openLooseStore(root),
    newFolder: () => mkdtempSync(`${temp}/`),
    leftovers: () => readdirSync(temp).flatMap(name => readdirSync(join(temp, name))),
    damage: (digest, how) => {
      const path = pathOf(root, digest)
      const bytes = readFileSync(path)
      if (how === 'flip') {
        bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
        writeFileSync(path, bytes)
      } else truncateSync(path, how === 'cut' ? bytes.length - 1 : 0)
    },
  }
}

testObjectStore(t, { name: 'LooseStore', open: openUnderTest })
