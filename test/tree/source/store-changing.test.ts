import {
  appendFileSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SourceChangedError, SourceUnreadableError } from '../../../lib/errors.js'
import { makeFifo } from '../../../lib/system/special-file.js'
import { storeFile } from '../../../lib/tree/source/store-file.js'
import { changes, startChanging } from '../../support/changing-folder.js'
import { beginInMemory, readContent, storeInMemory } from '../../support/stored-tree.js'

const mebibyte = 1024 * 1024

/**
 * A tree whose folder `first` fills a batch, so that progress is reported after the names
 * in the root are known and before they are looked at.
 */
function makeSource(t: Test): string {
  const folder = t.testdir({ first: {}, second: { inside: 'inside' }, z: 'as it was' })
  for (let index = 0; index < 600; index++) {
    writeFileSync(join(folder, 'first', String(index)), String(index))
  }
  writeFileSync(join(t.testdirName, '../secret'), 'secret')
  return folder
}

/** Stores and, once, changes the tree at the first sign of progress. */
async function storeWhile(folder: string, change: () => void) {
  let changed = false
  return storeInMemory(folder, {
    onProgress: () => {
      if (!changed) change()
      changed = true
    },
  })
}

async function problemOf(result: Promise<unknown>): Promise<unknown> {
  return result.then(
    () => undefined,
    (error: unknown) => error,
  )
}

t.test('tells of an entry that vanished, with its path', async t => {
  const folder = makeSource(t)
  const error = await problemOf(storeWhile(folder, () => unlinkSync(join(folder, 'z'))))
  t.type(error, SourceChangedError)
  t.match(error, { facts: { path: join(folder, 'z'), change: 'vanished' } })
})

t.test('tells of a folder that vanished or became a link', async t => {
  const folder = makeSource(t)
  const second = join(folder, 'second')
  const gone = storeWhile(folder, () => rmSync(second, { recursive: true }))
  t.match(await problemOf(gone), { code: 'source_changed', facts: { path: second } })
  mkdirSync(second)
  const swap = () => {
    renameSync(second, join(folder, 'elsewhere'))
    symlinkSync('first', second)
  }
  t.match(await problemOf(storeWhile(folder, swap)), {
    code: 'source_changed',
    facts: { path: second },
  })
})

t.test('stores what took the place of a file, and nothing behind it', async t => {
  const folder = makeSource(t)
  const z = join(folder, 'z')
  const linked = await storeWhile(folder, () => {
    unlinkSync(z)
    symlinkSync('../secret', z)
  })
  t.match(linked.entries.get('z')?.entry, { kind: 'symlink' })
  unlinkSync(z)
  writeFileSync(z, 'again')
  const piped = await storeWhile(folder, () => {
    unlinkSync(z)
    makeFifo(Buffer.from(z))
  })
  t.match(piped.entries.get('z')?.entry, { kind: 'fifo' })
})

t.test('refuses a folder in the place of a file', async t => {
  const folder = makeSource(t)
  const z = join(folder, 'z')
  const swap = () => {
    unlinkSync(z)
    mkdirSync(z)
  }
  t.match(await problemOf(storeWhile(folder, swap)), {
    code: 'source_changed',
    facts: { path: z, change: 'became a folder' },
  })
})

t.test('refuses a file that changed after another of its names was stored', async t => {
  const folder = makeSource(t)
  rmSync(join(folder, 'z'))
  linkSync(join(folder, 'first/0'), join(folder, 'z'))
  const change = () => writeFileSync(join(folder, 'z'), 'changed')
  t.match(await problemOf(storeWhile(folder, change)), {
    code: 'source_changed',
    facts: { path: join(folder, 'z') },
  })
})

t.test('stores a large file anew that changed once', async t => {
  const folder = t.testdir({})
  const file = join(folder, 'large')
  writeFileSync(file, Buffer.alloc(3 * mebibyte, 'a'))
  const { store, entries, stats } = await storeWhile(folder, () => {
    writeFileSync(file, Buffer.alloc(2 * mebibyte, 'b'))
  })
  const content = await readContent(store, entries.get('large')?.entry)
  t.ok(content.equals(Buffer.alloc(2 * mebibyte, 'b')))
  t.equal(stats.bytes, 2 * mebibyte)
})

t.test('gives up on a large file that never holds still', async t => {
  const folder = t.testdir({})
  const file = join(folder, 'large')
  const ways: Record<string, () => void> = {
    grows: () => appendFileSync(file, Buffer.alloc(mebibyte, 'b')),
    shrinks: () => truncateSync(file, mebibyte - 1),
    'is written to': () => writeFileSync(file, Buffer.alloc(3 * mebibyte, 'c')),
    'is replaced': () => {
      writeFileSync(join(folder, 'new'), Buffer.alloc(3 * mebibyte, 'd'))
      renameSync(join(folder, 'new'), file)
    },
  }
  for (const [name, change] of Object.entries(ways)) {
    const restore = () => writeFileSync(file, Buffer.alloc(3 * mebibyte, 'a'))
    restore()
    let calls = 0
    const onProgress = () => {
      // Shrinking is over when it has shrunk once.
      if (calls++ % 2 === 0) change()
      else if (name === 'shrinks') restore()
    }
    const result = storeInMemory(folder, { onProgress })
    const error = await problemOf(result)
    if (name === 'is replaced') {
      // The open file is whole; its name is another's now.
      t.ok(error === undefined || error instanceof SourceChangedError, name)
    } else {
      t.match(error, { code: 'source_changed', facts: { path: file } }, name)
    }
    t.ok(calls < 50, `${name}: ends after a few tries`)
  }
})

t.test('reads no further than a file says that it goes', async t => {
  const error = await problemOf(storeInMemory('/proc/self/net'))
  t.ok(error instanceof SourceChangedError || error instanceof SourceUnreadableError)
  await using session = await beginInMemory()
  t.match(await problemOf(storeFile('/proc/self/status', session)), {
    code: 'source_changed',
    facts: { path: '/proc/self/status', change: 'holds more than its 0 bytes' },
  })
})

for (const [name, { allowed }] of Object.entries(changes)) {
  t.test(`stores only what was there: ${name}`, async t => {
    const folder = t.testdir({ in: {}, out: { secret: 'secret' } })
    await using changing = await startChanging(name, folder)
    const outcomes = { stored: 0, refused: 0 }
    const end = Date.now() + 1500
    while (Date.now() < end) {
      const result = await problemOrTree(join(folder, 'in'))
      if (result instanceof Error) {
        outcomes.refused++
        if (!(result instanceof SourceChangedError)) throw result
        continue
      }
      outcomes.stored++
      for (const [path, { entry }] of result.entries) {
        const content =
          entry.kind === 'regular' ? await readContent(result.store, entry) : undefined
        if (!allowed(path, entry.kind, content)) {
          t.fail(`${path}: ${entry.kind} of ${content?.length} bytes`)
        }
      }
    }
    t.ok(outcomes.stored + outcomes.refused > 0, JSON.stringify(outcomes))
    t.ok(changing.isRunning, 'the other process was there all the time')
  })
}

async function problemOrTree(folder: string) {
  try {
    return await storeInMemory(folder)
  } catch (error) {
    if (error instanceof Error) return error
    throw error
  }
}
