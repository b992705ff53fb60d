import { isErrno } from './errno.js'
import { bind } from './libc.js'

const ioctl = bind<[number, number, Buffer]>(
  'ioctl',
  'int ioctl(int fd, unsigned long request, const void *argument)',
)

// FICLONERANGE of the kernel.
const cloneFileRange = 0x4020_940d

/** Bytes of a file: a multiple of the filesystem's block in offset and length. */
export type CloneSource = {
  readonly fd: number
  readonly offset: number
  readonly length: number
}

/**
 * Makes an open file share the extents of another from its start on; false where the
 * filesystem cannot, and nothing was done.
 */
export function cloneRange(target: number, source: CloneSource): boolean {
  const argument = Buffer.alloc(32)
  argument.writeBigInt64LE(BigInt(source.fd), 0)
  argument.writeBigUInt64LE(BigInt(source.offset), 8)
  argument.writeBigUInt64LE(BigInt(source.length), 16)
  try {
    ioctl(target, cloneFileRange, argument)
    return true
  } catch (error) {
    const cannot = [
      'ENOTSUP',
      'EOPNOTSUPP',
      'ENOTTY',
      'EXDEV',
      'EINVAL',
      'EPERM',
      'ETXTBSY',
    ]
    if (isErrno(error, ...cannot)) return false
    throw error
  }
}
