import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cairnPath } from './run-cairn.js'
import { parseTrace, type TracedCall } from './trace-line.js'

// Calls that change a filesystem, and those that tell which descriptor is which file.
const changing =
  'write,pwrite64,writev,pwritev,pwritev2,copy_file_range,sendfile,splice,ftruncate,' +
  'truncate,fallocate,fsync,fdatasync,syncfs,sync,sync_file_range,rename,renameat,' +
  'renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,mknod,' +
  'mknodat'
const naming = 'open,openat,openat2,creat,close,close_range,dup,dup2,dup3,lseek'

/** Why programs cannot be traced here. */
export const needsStrace =
  spawnSync('strace', ['--seccomp-bpf', '-f', '-o', '/dev/null', 'true']).status === 0
    ? false
    : 'needs strace(1) and the right to trace'

/** What strace does to one call: the nth of that name in any thread. */
export type Injection = {
  readonly name: string
  readonly nth: number
  /** Counts, and traces, only calls that work on this path. */
  readonly path?: string
  /** Kills the program before the call, or fails the call. */
  readonly effect: 'kill' | 'EIO' | 'ENOSPC'
}

/** How a traced run ended, and what it did. */
export type TracedRun = {
  readonly code: number | null
  /** SIGKILL also where the run hung. */
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
  readonly stdout: string
  readonly calls: readonly TracedCall[]
  /** Whether it had to be ended. */
  readonly hung: boolean
}

const patience = 30_000

/**
 * Runs the program under strace(1); with `content` the bytes of every write are kept.
 *
 * One thread makes the calls that Node gives to a pool, so that runs resemble one another.
 */
export async function runTraced(
  args: readonly string[],
  { inject, content = false }: { inject?: Injection; content?: boolean } = {},
): Promise<TracedRun> {
  const folder = mkdtempSync(join(tmpdir(), 'cairn-trace-'))
  try {
    const log = join(folder, 'log')
    const options = ['-f', '-xx', '-o', log, '-e', `trace=${changing},${naming}`]
    options.push('-e', 'signal=none', '-s', content ? '67108864' : '4096')
    // Stops at no other calls; but signals get lost where it is used.
    if (inject?.effect !== 'kill') options.push('--seccomp-bpf')
    if (inject !== undefined) options.push('-e', injectionText(inject))
    if (inject?.path !== undefined) options.push('-P', inject.path)
    // What tap loads into every child would be traced as well.
    options.push('-E', 'NODE_OPTIONS')
    const command = [process.execPath, cairnPath, ...args]
    const outcome = await run('strace', [...options, ...command])
    return { ...outcome, calls: parseTrace(readFileSync(log, 'latin1')) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function injectionText({ name, nth, effect }: Injection): string {
  const what = effect === 'kill' ? 'error=EIO:signal=KILL' : `error=${effect}`
  return `inject=${name}:${what}:when=${nth}`
}

async function run(
  command: string,
  args: readonly string[],
): Promise<Omit<TracedRun, 'calls'>> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: what strace traces would outlive it.
    detached: true,
    env: {
      ...process.env,
      UV_THREADPOOL_SIZE: '1',
      UV_USE_IO_URING: '0',
      HOME: join(tmpdir(), 'cairn-test-no-home'),
    },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  let hung = false
  const timer = setTimeout(() => {
    hung = true
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  }, patience)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, stdout, stderr, hung })
    })
  })
}
