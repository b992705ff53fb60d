import { isAbsolute, join, resolve } from 'node:path'
import { pathArgument, type TracedCall } from './trace-line.js'

/** A traced call that changes something, and the path that it works on. */
export type FileChange = { readonly call: TracedCall; readonly path: string }

/** The descriptors of a traced program, which its threads share. */
export class TracedDescriptors {
  readonly #paths = new Map<number, string>([[0, '/dev/stdin']])
  readonly #workingFolder: string

  constructor(workingFolder = process.cwd()) {
    this.#workingFolder = workingFolder
  }

  /** Where the descriptor of an argument leads; undefined where it is no file. */
  path(argument: string | undefined): string | undefined {
    return this.#paths.get(Number(argument))
  }

  /** The path of an argument, below the folder that another one names. */
  at(folder: string | undefined, argument: string | undefined): string {
    const path = pathArgument(argument)
    const [, number, rest = ''] = /^\/proc\/self\/fd\/(\d+)(\/.*)?$/.exec(path) ?? []
    if (number !== undefined) return `${this.path(number) ?? path}${rest}`
    if (isAbsolute(path)) return resolve(path)
    const base = folder === 'AT_FDCWD' ? this.#workingFolder : this.path(folder)
    return join(base ?? '/unknown', path)
  }

  /** Sees opening, closing and moving. */
  follow({ name, args, result }: TracedCall): void {
    if (name === 'close') this.#paths.delete(Number(args[0]))
    if (result < 0) return
    if (name === 'openat') this.#paths.set(result, this.at(args[0], args[1]))
    else if (name === 'open' || name === 'creat')
      this.#paths.set(result, this.at('AT_FDCWD', args[0]))
    else if (name === 'dup' || name === 'dup2' || name === 'dup3') {
      const path = this.path(args[0])
      if (path === undefined) this.#paths.delete(result)
      else this.#paths.set(result, path)
    } else if (name === 'rename') {
      this.#move(this.at('AT_FDCWD', args[0]), this.at('AT_FDCWD', args[1]))
    } else if (name === 'renameat' || name === 'renameat2') {
      this.#move(this.at(args[0], args[1]), this.at(args[2], args[3]))
    }
  }

  #move(from: string, to: string): void {
    for (const [fd, path] of this.#paths) {
      if (path === from || path.startsWith(`${from}/`))
        this.#paths.set(fd, `${to}${path.slice(from.length)}`)
    }
  }
}

const byDescriptor = new Set(
  (
    'write pwrite64 writev pwritev pwritev2 ftruncate fallocate ' +
    'fsync fdatasync syncfs sync_file_range'
  ).split(' '),
)
const byPath = new Set(['rename', 'unlink', 'rmdir', 'mkdir', 'link', 'truncate'])
const byFolder = new Set(['renameat', 'renameat2', 'unlinkat', 'mkdirat', 'linkat'])

/** The changes that a traced run made, or tried to make, below a folder. */
export function changesBelow(
  root: string,
  calls: readonly TracedCall[],
): readonly FileChange[] {
  const descriptors = new TracedDescriptors()
  const changes: FileChange[] = []
  for (const call of calls) {
    const path = changedPath(descriptors, call)
    if (path === root || path?.startsWith(`${root}/`)) changes.push({ call, path })
    descriptors.follow(call)
  }
  return changes
}

function changedPath(
  descriptors: TracedDescriptors,
  { name, args }: TracedCall,
): string | undefined {
  if (byDescriptor.has(name)) return descriptors.path(args[0])
  if (name === 'copy_file_range') return descriptors.path(args[2])
  if (byPath.has(name)) return descriptors.at('AT_FDCWD', args[0])
  if (byFolder.has(name)) return descriptors.at(args[0], args[1])
  if (name === 'openat' && args[2]?.includes('O_CREAT') === true) {
    return descriptors.at(args[0], args[1])
  }
  return undefined
}
