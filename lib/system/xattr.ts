import { isErrno } from './errno.js'
import { bind, cString } from './libc.js'

const llistxattr = bind<[Buffer, Buffer | null, number]>(
  'llistxattr',
  'int64_t llistxattr(const uint8_t *path, _Out_ uint8_t *list, size_t size)',
)
const flistxattr = bind<[number, Buffer | null, number]>(
  'flistxattr',
  'int64_t flistxattr(int fd, _Out_ uint8_t *list, size_t size)',
)
const lgetxattr = bind<[Buffer, Buffer, Buffer | null, number]>(
  'lgetxattr',
  'int64_t lgetxattr(const uint8_t *path, const uint8_t *name, _Out_ uint8_t *value, size_t size)',
)
const fgetxattr = bind<[number, Buffer, Buffer | null, number]>(
  'fgetxattr',
  'int64_t fgetxattr(int fd, const uint8_t *name, _Out_ uint8_t *value, size_t size)',
)
const lsetxattr = bind<[Buffer, Buffer, Buffer, number, number]>(
  'lsetxattr',
  'int lsetxattr(const uint8_t *path, const uint8_t *name, const uint8_t *value, size_t size, int flags)',
)
const fsetxattr = bind<[number, Buffer, Buffer, number, number]>(
  'fsetxattr',
  'int fsetxattr(int fd, const uint8_t *name, const uint8_t *value, size_t size, int flags)',
)
const lremovexattr = bind<[Buffer, Buffer]>(
  'lremovexattr',
  'int lremovexattr(const uint8_t *path, const uint8_t *name)',
)

/** What has extended attributes: a path whose last link is not followed, or a descriptor. */
export type XattrTarget = Uint8Array | number

// XATTR_LIST_MAX and XATTR_SIZE_MAX of the kernel: larger answers cannot come.
const maxBytes = 65_536
const scratch = Buffer.allocUnsafeSlow(maxBytes)

/**
 * Lists the keys of all extended attributes that this process may see, in kernel order.
 *
 * A filesystem without extended attributes has none. Throws the system's error otherwise.
 */
export function listXattrs(target: XattrTarget): Buffer[] {
  const length = readInto(scratch, target)
  const keys: Buffer[] = []
  for (let start = 0; start < length; ) {
    const end = scratch.indexOf(0, start)
    keys.push(Buffer.from(scratch.subarray(start, end)))
    start = end + 1
  }
  return keys
}

/** Reads one extended attribute; undefined when it is not, or no longer, there. */
export function findXattr(target: XattrTarget, key: Uint8Array): Buffer | undefined {
  try {
    const name = cString(key)
    const length =
      typeof target === 'number'
        ? fgetxattr(target, name, scratch, maxBytes)
        : lgetxattr(cString(target), name, scratch, maxBytes)
    return Buffer.from(scratch.subarray(0, length))
  } catch (error) {
    if (isErrno(error, 'ENODATA')) return undefined
    throw error
  }
}

/** Sets one extended attribute. */
export function setXattr(target: XattrTarget, key: Uint8Array, value: Uint8Array): void {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  if (typeof target === 'number') {
    fsetxattr(target, cString(key), bytes, value.length, 0)
  } else lsetxattr(cString(target), cString(key), bytes, value.length, 0)
}

/** Removes one extended attribute of a path, not following a last link. */
export function removeXattr(path: Uint8Array, key: Uint8Array): void {
  lremovexattr(cString(path), cString(key))
}

function readInto(list: Buffer, target: XattrTarget): number {
  try {
    return typeof target === 'number'
      ? flistxattr(target, list, maxBytes)
      : llistxattr(cString(target), list, maxBytes)
  } catch (error) {
    if (isErrno(error, 'ENOTSUP', 'EOPNOTSUPP')) return 0
    throw error
  }
}
