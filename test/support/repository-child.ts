import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { walkClosure } from '../../lib/closure/closure-walk.js'
import { TagConflictError } from '../../lib/errors.js'
import type { Descriptor } from '../../lib/object/descriptor.js'
import { pull } from '../../lib/remote/pull.js'
import { push } from '../../lib/remote/push.js'
import { RemoteObjectStore } from '../../lib/remote/remote-object-store.js'
import type { LockMode } from '../../lib/repository/lock.js'
import { openRepository } from '../../lib/repository/open.js'
import type { Repository } from '../../lib/repository/repository.js'
import { checkout } from '../../lib/tree/checkout/checkout.js'
import { storeFiles } from './packed-repository.js'
import { putSmallTree } from './scratch-repository.js'

type Action = (repository: Repository, args: readonly string[]) => Promise<void>

const actions: Readonly<Record<string, Action>> = {
  lock: async (repository, [mode]) => {
    await using lock = await repository.lock(mode as LockMode)
    say(lock.mode)
    await released()
  },
  session: async repository => {
    await using session = await repository.begin({
      purpose: 'store',
      publishing: 'whole',
    })
    await putSmallTree(session.objects, 99)
    writeFileSync(join(session.folder, 'something'), 'left behind')
    say(String(session.number))
    await released()
  },
  // Stores overlapping folders under one tag, and removes it now and then, until told.
  'store-for-ever': async (repository, [name = '', seed = '0']) => {
    process.stdin.resume()
    for (let turn = Number(seed); !process.stdin.readableEnded; turn++) {
      using fresh = await openRepository(repository.root)
      const opened = turn % 2 === 0 ? repository : fresh
      const contents = [turn % 3, turn % 5, turn % 7].map(n => `content ${n}`.repeat(500))
      const stored = await storeFiles(opened, [...contents, `${name} ${turn % 11}`], name)
      using reader = await openRepository(repository.root)
      for await (const batch of walkClosure(reader.objects, [stored])) {
        if (batch.length === 0) throw new Error('an empty batch')
      }
      if (turn % 4 === 0) await opened.tags.remove(name)
    }
  },
  // Checks out what the tag names, and whatever else is tagged, until told.
  'check-out-for-ever': async (repository, [name = '', folder = '']) => {
    process.stdin.resume()
    for (let turn = 0; !process.stdin.readableEnded; turn++) {
      using fresh = await openRepository(repository.root)
      const opened = turn % 2 === 0 ? repository : fresh
      const tags = await opened.tags.list()
      const any = tags[turn % tags.length]?.descriptor ?? (await opened.tags.get(name))
      const fixed = await opened.tags.get(name)
      for (const { digest } of [fixed, any]) {
        const out = join(folder, String(turn))
        await checkout(opened.objects, { application: digest }, out)
        rmSync(out, { recursive: true })
      }
      // What is told comes as an event; all above may have been done without one.
      await setImmediate()
    }
  },
  // Pulls the tag from a server into the repository, and pushes trees there, until told.
  'transfer-for-ever': async (repository, [name = '', url = '', own = '']) => {
    process.stdin.resume()
    await using remote = new RemoteObjectStore(url)
    for (let turn = 0; !process.stdin.readableEnded; turn++) {
      await pull(remote, repository, { tag: name })
      const contents = [turn % 3, turn % 5].map(n => `content ${n}`.repeat(500))
      await storeFiles(repository, [...contents, `${own} ${turn % 11}`], own)
      await push(remote, repository, { ref: own })
    }
  },
  // Sets the tag to the trees of the given digests in turn until it is killed.
  'set-for-ever': async (repository, [name = '', ...digests]) => {
    const descriptors = await describeAll(repository, digests)
    for (let turn = 0; ; turn++) {
      const next = descriptors[turn % descriptors.length]
      if (next === undefined) throw new Error('no trees')
      await repository.tags.set(name, next)
      if (turn === 0) say('started')
    }
  },
  // Moves the tag so many times from what it is to the next tree in the row.
  advance: async (repository, [name = '', count, ...digests]) => {
    const descriptors = await describeAll(repository, digests)
    for (let done = 0; done < Number(count); ) {
      const current = await repository.tags.get(name)
      const index = descriptors.findIndex(({ digest }) => digest === current.digest)
      const next = descriptors[(index + 1) % descriptors.length]
      if (next === undefined) throw new Error('no trees')
      try {
        await repository.tags.set(name, next, { expected: current })
        done++
      } catch (error) {
        if (!(error instanceof TagConflictError)) throw error
      }
    }
  },
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

async function released(): Promise<void> {
  process.stdin.resume()
  await once(process.stdin, 'end')
}

async function describeAll(
  repository: Repository,
  digests: readonly string[],
): Promise<Descriptor[]> {
  const tags = await repository.tags.list()
  return digests.flatMap(wanted =>
    tags
      .map(({ descriptor }) => descriptor)
      .filter(({ digest }) => digest === wanted)
      .slice(0, 1),
  )
}

const [action = '', root = '', ...args] = process.argv.slice(2)
const run = actions[action]
if (run === undefined) throw new Error(`no action ${action}`)
await run(await openRepository(root), args)
