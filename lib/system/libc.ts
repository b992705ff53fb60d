import { createRequire } from 'node:module'
import { getSystemErrorName } from 'node:util'
import type * as Koffi from 'koffi'
import { InvalidArgumentError, NativeUnavailableError } from '../errors.js'

const require = createRequire(import.meta.url)

type Library = { readonly koffi: typeof Koffi; readonly libc: Koffi.LibraryHandle }

let library: Library | undefined | 'absent'

/** Whether the system calls of this folder can be made on this platform. */
export function hasNativeCalls(): boolean {
  return findLibrary() !== undefined
}

/**
 * Binds a function of the C library on its first call.
 *
 * The bound function returns what C returns, or throws an error like those of node:fs
 * (code, errno, syscall) when that is -1. Without the native part it throws
 * NativeUnavailableError.
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- callers state what C takes
export function bind<Values extends readonly unknown[]>(
  name: string,
  prototype: string,
): (...values: Values) => number {
  let bound: ((...values: readonly unknown[]) => number | bigint) | undefined
  return (...values) => {
    const { koffi, libc } = getLibrary(name)
    bound ??= libc.func(prototype) as (...values: readonly unknown[]) => number | bigint
    const result = Number(bound(...values))
    if (result === -1) throw systemError(name, koffi.errno())
    return result
  }
}

/**
 * Finds a function of the C library for inner loops: it returns what C returns, with
 * errno left in lastErrno(). Undefined where the library is missing or lacks it.
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- callers state what C takes
export function findFunction<Values extends readonly unknown[]>(
  prototype: string,
): ((...values: Values) => number) | undefined {
  try {
    return findLibrary()?.libc.func(prototype) as
      | ((...values: Values) => number)
      | undefined
  } catch {
    // An older C library: the loader throws what it likes.
    return undefined
  }
}

/** The error number that the last native call of this thread left. */
export function lastErrno(): number | undefined {
  return findLibrary()?.koffi.errno()
}

/** As bind, for a call that may take long: it runs in a thread of its own. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- callers state what C takes
export function bindAsync<Values extends readonly unknown[]>(
  name: string,
  prototype: string,
): (...values: Values) => Promise<number> {
  let bound: ReturnType<Koffi.LibraryHandle['func']> | undefined
  return async (...values) => {
    const { koffi, libc } = getLibrary(name)
    const call = (bound ??= libc.func(prototype))
    return new Promise((resolve, reject) => {
      call.async(...values, (error: unknown, result: number | bigint) => {
        // errno is the calling thread's, and is handed on to this callback only.
        if (error instanceof Error) reject(error)
        else if (Number(result) === -1) reject(systemError(name, koffi.errno()))
        else resolve(Number(result))
      })
    })
  }
}

/**
 * A path or name as C takes it: bytes with a NUL behind them.
 *
 * Throws InvalidArgumentError for one with a NUL inside, which C would cut short.
 */
export function cString(text: Uint8Array | string): Buffer {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  if (bytes.includes(0)) {
    throw new InvalidArgumentError('a path or name for a system call holds a NUL byte')
  }
  const terminated = Buffer.allocUnsafe(bytes.length + 1)
  terminated.set(bytes)
  terminated[bytes.length] = 0
  return terminated
}

function getLibrary(call: string): Library {
  const found = findLibrary()
  if (found === undefined) {
    throw new NativeUnavailableError(
      `${call} is not available: no C library could be loaded on ${process.platform} ${process.arch}`,
      { call },
    )
  }
  return found
}

// Loading takes some 10 ms, so it waits for the first call; it cannot change afterwards.
function findLibrary(): Library | undefined {
  library ??= loadLibrary() ?? 'absent'
  return library === 'absent' ? undefined : library
}

function loadLibrary(): Library | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    const koffi = require('koffi') as typeof Koffi
    for (const name of ['libc.so.6', `libc.musl-${muslArchitecture()}.so.1`]) {
      try {
        return { koffi, libc: koffi.load(name) }
      } catch {
        // The other C library, or none.
      }
    }
  } catch {
    // No prebuilt binary for this platform: the loader throws what it likes.
  }
  return undefined
}

function muslArchitecture(): string {
  return process.arch === 'arm64' ? 'aarch64' : 'x86_64'
}

function systemError(syscall: string, errno: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno)
  return Object.assign(new Error(`${code}: ${syscall}`), { code, errno: -errno, syscall })
}
