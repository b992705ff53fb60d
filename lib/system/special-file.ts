import { bind, cString } from './libc.js'

const mknod = bind<[Buffer, number, bigint]>(
  'mknod',
  'int mknod(const uint8_t *path, uint32_t mode, uint64_t device)',
)

/** Makes a fifo with mode 0600 less umask. */
export function makeFifo(path: Uint8Array): void {
  mknod(cString(path), 0o010600, 0n)
}

/** Makes an unbound socket with mode 0600 less umask. */
export function makeSocket(path: Uint8Array): void {
  mknod(cString(path), 0o140600, 0n)
}

/**
 * Makes a device with mode 0600 less umask.
 *
 * @param rdev - the low 32 bits of st_rdev, as header objects hold it
 */
export function makeDevice(path: Uint8Array, kind: 'block' | 'char', rdev: number): void {
  const format = kind === 'block' ? 0o060000 : 0o020000
  mknod(cString(path), format | 0o600, BigInt(rdev))
}
