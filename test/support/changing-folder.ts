import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { argv } from 'node:process'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { makeFifo } from '../../lib/system/special-file.js'

/** A way in which `in` changes all the time; `out` holds what must never be stored. */
type Change = {
  readonly prepare?: (folder: string) => void
  readonly step: (folder: string, step: number) => void
  /** Whether a store of `in` may have found this. */
  readonly allowed: (path: string, kind: string, content?: Buffer) => boolean
}

const kibibyte = 1024
const long = Buffer.alloc(800 * kibibyte, 'a')

/** Every way, by what it does. */
export const changes: Readonly<Record<string, Change>> = {
  'a file becomes a link, a fifo, another file': {
    prepare(folder) {
      makeFifo(Buffer.from(join(folder, 'out/fifo')))
    },
    step(folder, step) {
      const next = join(folder, 'out/next')
      if (step % 3 === 0) writeFileSync(next, `plain ${step}`)
      else if (step % 3 === 1) symlinkSync('../out/secret', next)
      else linkSync(join(folder, 'out/fifo'), next)
      renameSync(next, join(folder, 'in/entry'))
    },
    allowed: (path, kind, content) =>
      path === 'entry' &&
      (kind === 'symlink' || kind === 'fifo' || /^plain \d+$/.test(String(content))),
  },
  'a large file becomes shorter and longer': {
    prepare: folder => writeFileSync(join(folder, 'in/entry'), long),
    step(folder, step) {
      truncateSync(join(folder, 'in/entry'), (step % 2 === 0 ? 600 : 800) * kibibyte)
    },
    allowed(_, kind, content) {
      const length = (content?.length ?? 0) / kibibyte
      const isKnown = length === 600 || length === 800
      return kind === 'regular' && isKnown && isTail(content)
    },
  },
  'a file grows': {
    step(folder) {
      const file = join(folder, 'in/entry')
      appendFileSync(file, 'a'.repeat(4 * kibibyte))
      if (statSync(file).size > 2048 * kibibyte) truncateSync(file, 0)
    },
    allowed: (_, kind, content) =>
      kind === 'regular' && (content?.length ?? 1) % (4 * kibibyte) === 0,
  },
  'files come and go': {
    step(folder, step) {
      const file = join(folder, 'in', String(step % 20))
      writeFileSync(join(folder, 'out/next'), 'whole')
      renameSync(join(folder, 'out/next'), file)
      unlinkSync(join(folder, 'in', String(step % 20)))
    },
    allowed: (_, kind, content) => kind === 'regular' && String(content) === 'whole',
  },
  'a folder becomes a link to another': {
    step(folder, step) {
      const place = join(folder, 'in/folder')
      rmSync(place, { recursive: true, force: true })
      if (step % 2 === 0) {
        mkdirSync(place)
        writeFileSync(join(place, 'inside'), '')
      } else {
        symlinkSync('../out', place)
      }
    },
    allowed: path => path === 'folder' || path === 'folder/inside',
  },
}

/** A process that keeps changing a folder until it is disposed. */
export type ChangingProcess = AsyncDisposable & { readonly isRunning: boolean }

/** Starts a process that changes `folder` in the way of this name. */
export async function startChanging(
  name: string,
  folder: string,
): Promise<ChangingProcess> {
  const child = fork(fileURLToPath(import.meta.url), [name, folder])
  const exited = once(child, 'exit')
  await Promise.race([once(child, 'message'), exited])
  return {
    get isRunning() {
      return isAlive(child)
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

function isAlive(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}

// What was cut off and came back is zeros or the end of what was written first.
function isTail(content: Buffer | undefined): boolean {
  if (content === undefined) return false
  const kept = content.subarray(0, 600 * kibibyte)
  const rest = content.subarray(600 * kibibyte)
  return kept.equals(long.subarray(0, kept.length)) && rest.every(byte => byte === 0)
}

async function keepChanging(name: string, folder: string): Promise<void> {
  const change = changes[name]
  if (change === undefined) throw new Error(`no change ${name}`)
  change.prepare?.(folder)
  change.step(folder, 0)
  process.send?.('ready')
  for (let step = 1; process.connected; step++) {
    change.step(folder, step)
    if (step % 16 === 0) await setImmediate()
  }
}

const [, script, name, folder] = argv
if (script === fileURLToPath(import.meta.url) && name !== undefined) {
  await keepChanging(name, folder ?? '')
}
