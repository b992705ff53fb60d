import { closeSync, constants, openSync } from 'node:fs'
import { InvalidArgumentError } from '../errors.js'
import { bind, cString } from './libc.js'

const mountCall = bind<[Buffer | null, Buffer, Buffer | null, number, Buffer | null]>(
  'mount',
  'int mount(const uint8_t *source, const uint8_t *target, const uint8_t *type, unsigned long flags, const uint8_t *data)',
)
const unmountCall = bind<[Buffer, number]>(
  'umount2',
  'int umount2(const uint8_t *target, int flags)',
)

const flags = {
  readOnly: 1,
  noSuid: 2,
  noDevices: 4,
  noExecution: 8,
  remount: 32,
  bind: 4096,
  recursive: 16_384,
} as const

const flagOfOption: Readonly<Record<string, number>> = {
  ro: flags.readOnly,
  rw: 0,
  nosuid: flags.noSuid,
  nodev: flags.noDevices,
  noexec: flags.noExecution,
  bind: flags.bind,
  rbind: flags.bind | flags.recursive,
}

const detach = 2
const noFollow = 8
// What the kernel takes of options in one call: a page, with the byte that ends it.
const maxDataBytes = 4095
const pathOnly = 0o10000000
const lowerLayers = 'lowerdir='

/** What mount(2) is asked for; options as mount(8) spells them. */
export type MountRequest = {
  readonly type: string
  readonly source: string
  readonly options: readonly string[]
}

/** Mounts something on a folder; throws the system's error. */
export function mount(target: string, { type, source, options }: MountRequest): void {
  const wanted = options.reduce((sum, option) => sum | (flagOfOption[option] ?? 0), 0)
  const data = options.filter(option => flagOfOption[option] === undefined)
  if ((wanted & flags.bind) === 0) {
    mountWith(target, { type, source, flags: wanted, data })
    return
  }
  const kind = wanted & (flags.bind | flags.recursive)
  mountCall(cString(source), cString(target), null, kind, null)
  const restrictions = wanted & ~kind
  if (restrictions === 0) return
  try {
    // A bind mount takes its own restrictions only in a second call.
    const again = flags.bind | flags.remount | restrictions
    mountCall(null, cString(target), null, again, null)
  } catch (error) {
    unmount(target)
    throw error
  }
}

/** Takes the topmost mount off a folder, at once for everyone who looks by path. */
export function unmount(target: string): void {
  unmountCall(cString(target), detach | noFollow)
}

type OtherMount = {
  readonly type: string
  readonly source: string
  readonly flags: number
  readonly data: readonly string[]
}

function mountWith(target: string, { type, source, flags: wanted, data }: OtherMount) {
  const text = data.join(',')
  if (Buffer.byteLength(text) <= maxDataBytes) {
    mountCall(cString(source), cString(target), cString(type), wanted, cString(text))
    return
  }
  const short = shortenLayers(data)
  try {
    const fitting = short.data.join(',')
    if (Buffer.byteLength(fitting) > maxDataBytes) {
      throw new InvalidArgumentError(
        `the mount options take ${Buffer.byteLength(fitting)} bytes, expected at most ${maxDataBytes}`,
        { found: Buffer.byteLength(fitting), expected: maxDataBytes },
      )
    }
    mountCall(cString(source), cString(target), cString(type), wanted, cString(fitting))
  } finally {
    if (short.fd !== undefined) closeSync(short.fd)
  }
}

// Long chains of layers lie in one folder: a descriptor of it is a shorter name for it.
function shortenLayers(data: readonly string[]): {
  data: readonly string[]
  fd: number | undefined
} {
  const layers = data.find(option => option.startsWith(lowerLayers))
  const paths = layers?.slice(lowerLayers.length).split(':') ?? []
  const folder = commonFolder(paths)
  if (folder === undefined) return { data, fd: undefined }
  const { O_DIRECTORY } = constants
  const fd = openSync(folder, pathOnly | O_DIRECTORY)
  const short = paths.map(path => `/proc/self/fd/${fd}${path.slice(folder.length)}`)
  const replaced = data.map(option =>
    option === layers ? `${lowerLayers}${short.join(':')}` : option,
  )
  return { data: replaced, fd }
}

function commonFolder(paths: readonly string[]): string | undefined {
  const [first = '', ...others] = paths
  for (let end = first.lastIndexOf('/'); end > 0; end = first.lastIndexOf('/', end - 1)) {
    const folder = first.slice(0, end + 1)
    if (others.every(path => path.startsWith(folder))) return first.slice(0, end)
  }
  return undefined
}
