import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { stringArgument, type TracedCall, vectorArgument } from './trace-line.js'
import { TracedDescriptors } from './traced-files.js'

/** A file or folder, whatever its names are. */
export type Node = { readonly kind: 'file' | 'folder' }

/** What a call asked of the disk; with none of these it changed nothing that lasts. */
export type DiskChange =
  | {
      readonly kind: 'name'
      readonly folder: Node
      readonly name: string
      readonly node: Node
    }
  | { readonly kind: 'unname'; readonly folder: Node; readonly name: string }
  | {
      readonly kind: 'move'
      readonly from: { readonly folder: Node; readonly name: string }
      readonly to: { readonly folder: Node; readonly name: string }
      readonly node: Node
    }
  | {
      readonly kind: 'write'
      readonly node: Node
      readonly offset: number
      readonly bytes: Buffer
    }
  | { readonly kind: 'cut'; readonly node: Node; readonly size: number }
  /** Makes what was done to the node, or to all, before call `began` durable. */
  | { readonly kind: 'sync'; readonly node: Node | 'all'; readonly began: number }
  /** The program told its user that it is done. */
  | { readonly kind: 'told' }

/** A change, and the number of the call that made it. */
export type RecordedChange = { readonly at: number; readonly change: DiskChange }

type Open = { readonly node: Node; offset: number; readonly appends: boolean }

/**
 * Follows a traced run, with the bytes of its writes, on a folder whose state before is
 * known; throws for a call on it that is not understood.
 */
export class DiskRecord {
  readonly top: Node = { kind: 'folder' }
  /** What gave the nodes their names that were there before. */
  readonly initial: readonly DiskChange[]
  readonly changes: RecordedChange[] = []
  /** What the nodes hold that were there before. */
  readonly contents = new Map<Node, Buffer>()
  readonly #root: string
  readonly #descriptors = new TracedDescriptors()
  readonly #open = new Map<number, Open>()
  /** By path below the root, as the program sees it. */
  readonly #nodes = new Map<string, Node>()
  readonly #sizes = new Map<Node, number>()
  #at = 0

  /** `before` is a copy of what was at `root` when the run began. */
  constructor(root: string, before: string, calls: readonly TracedCall[]) {
    this.#root = root
    this.#nodes.set('', this.top)
    this.#load(before, '')
    this.initial = this.changes.splice(0).map(({ change }) => change)
    for (const [at, call] of calls.entries()) {
      this.#at = at
      if (call.result >= 0) this.#see(call)
      this.#descriptors.follow(call)
      if (call.name === 'close') this.#open.delete(Number(call.args[0]))
    }
  }

  #load(before: string, path: string): void {
    for (const name of readdirSync(join(before, path))) {
      const inner = join(path, name)
      const stats = lstatSync(join(before, inner))
      const node: Node = { kind: stats.isDirectory() ? 'folder' : 'file' }
      this.#give(inner, node)
      if (node.kind === 'folder') this.#load(before, inner)
      else {
        const bytes = readFileSync(join(before, inner))
        this.contents.set(node, bytes)
        this.#sizes.set(node, bytes.length)
      }
    }
  }

  #see({ name, args, result, began }: TracedCall): void {
    const descriptors = this.#descriptors
    switch (name) {
      case 'openat':
        this.#seeOpen(
          this.#below(descriptors.at(args[0], args[1])),
          args[2] ?? '',
          result,
        )
        return
      case 'write':
        if (args[0] === '1') this.#push({ kind: 'told' })
        else this.#seeWrite(args[0], stringArgument(args[1]).subarray(0, result))
        return
      case 'writev':
        this.#seeWrite(args[0], vectorArgument(args[1]).subarray(0, result))
        return
      case 'pwrite64':
        this.#seeWrite(
          args[0],
          stringArgument(args[1]).subarray(0, result),
          Number(args[3]),
        )
        return
      case 'pwritev':
        this.#seeWrite(
          args[0],
          vectorArgument(args[1]).subarray(0, result),
          Number(args[3]),
        )
        return
      case 'ftruncate': {
        const node = this.#open.get(Number(args[0]))?.node
        if (node !== undefined) this.#cut(node, Number(args[1]))
        return
      }
      case 'fallocate': {
        const node = this.#open.get(Number(args[0]))?.node
        if (node !== undefined) this.#reserve(node, args)
        return
      }
      case 'fsync':
      case 'fdatasync': {
        const node = this.#open.get(Number(args[0]))?.node
        if (node !== undefined) this.#push({ kind: 'sync', node, began })
        return
      }
      case 'syncfs':
        this.#push({ kind: 'sync', node: 'all', began })
        return
      case 'mkdir':
      case 'mkdirat': {
        const [folder, path] = name === 'mkdir' ? ['AT_FDCWD', args[0]] : args
        this.#make(this.#below(descriptors.at(folder, path)), 'folder')
        return
      }
      case 'unlink':
      case 'rmdir':
        this.#remove(this.#below(descriptors.at('AT_FDCWD', args[0])))
        return
      case 'unlinkat':
        this.#remove(this.#below(descriptors.at(args[0], args[1])))
        return
      case 'rename':
        this.#move(
          this.#below(descriptors.at('AT_FDCWD', args[0])),
          this.#below(descriptors.at('AT_FDCWD', args[1])),
        )
        return
      case 'link': {
        const node = this.#find(this.#below(descriptors.at('AT_FDCWD', args[0])))
        const path = this.#below(descriptors.at('AT_FDCWD', args[1]))
        if (path !== undefined && node !== undefined) this.#give(path, node)
        return
      }
      case 'open':
      case 'close':
      case 'dup':
      case 'lseek':
        return
      default:
        this.#refuse(name, args)
    }
  }

  // A call that is not understood must not be one on this folder.
  #refuse(name: string, args: readonly string[]): void {
    const fds = args.map(Number).filter(fd => this.#open.has(fd))
    const text = args
      .filter(argument => argument.startsWith('"'))
      .map(argument => stringArgument(argument).toString())
    if (fds.length > 0 || text.some(path => path.startsWith(this.#root))) {
      throw new Error(`${name}(${args.join(', ').slice(0, 200)}) is not understood`)
    }
  }

  #seeOpen(path: string | undefined, flags: string, fd: number): void {
    this.#open.delete(fd)
    if (path === undefined) return
    if (this.#find(path) === undefined && flags.includes('O_CREAT')) {
      this.#make(path, 'file')
    }
    const node = this.#find(path)
    if (node === undefined) throw new Error(`${path} was opened, and is not there`)
    if (flags.includes('O_TRUNC')) this.#cut(node, 0)
    this.#open.set(fd, { node, offset: 0, appends: flags.includes('O_APPEND') })
  }

  #seeWrite(fd: string | undefined, bytes: Buffer, position?: number): void {
    const open = this.#open.get(Number(fd))
    if (open === undefined) return
    const { node } = open
    const size = this.#sizes.get(node) ?? 0
    const offset = position ?? (open.appends ? size : open.offset)
    if (position === undefined) open.offset = offset + bytes.length
    this.#sizes.set(node, Math.max(size, offset + bytes.length))
    this.#push({ kind: 'write', node, offset, bytes: Buffer.from(bytes) })
  }

  #reserve(node: Node, [, mode, offset, length]: readonly string[]): void {
    const size = this.#sizes.get(node) ?? 0
    if (mode === '0') this.#cut(node, Math.max(size, Number(offset) + Number(length)))
    else if (mode !== 'FALLOC_FL_KEEP_SIZE') throw new Error(`fallocate mode ${mode}`)
  }

  #cut(node: Node, size: number): void {
    this.#sizes.set(node, size)
    this.#push({ kind: 'cut', node, size })
  }

  #make(path: string | undefined, kind: Node['kind']): void {
    if (path !== undefined) this.#give(path, { kind })
  }

  #give(path: string, node: Node): void {
    this.#nodes.set(path, node)
    this.#push({ kind: 'name', ...this.#place(path), node })
  }

  #remove(path: string | undefined): void {
    if (path === undefined) return
    this.#push({ kind: 'unname', ...this.#place(path) })
    this.#nodes.delete(path)
  }

  #move(from: string | undefined, to: string | undefined): void {
    if (from === undefined || to === undefined) return
    const node = this.#find(from)
    if (node === undefined) throw new Error(`${from} was renamed, and is not there`)
    const places = { from: this.#place(from), to: this.#place(to) }
    const moved = Array.from(this.#nodes).filter(
      ([path]) => path === from || path.startsWith(`${from}/`),
    )
    for (const [path, inner] of moved) {
      this.#nodes.delete(path)
      this.#nodes.set(`${to}${path.slice(from.length)}`, inner)
    }
    this.#push({ kind: 'move', ...places, node })
  }

  #place(path: string): { folder: Node; name: string } {
    const parent = dirname(path)
    const folder = this.#find(parent === '.' ? '' : parent)
    if (folder === undefined) throw new Error(`no folder for ${path}`)
    return { folder, name: basename(path) }
  }

  #find(path: string | undefined): Node | undefined {
    return path === undefined ? undefined : this.#nodes.get(path)
  }

  #below(path: string): string | undefined {
    if (path === this.#root) return ''
    return path.startsWith(`${this.#root}/`)
      ? path.slice(this.#root.length + 1)
      : undefined
  }

  #push(change: DiskChange): void {
    this.changes.push({ at: this.#at, change })
  }
}
