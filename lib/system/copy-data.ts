import { ftruncateSync, readSync, writeSync } from 'node:fs'
import { isErrno } from './errno.js'
import { bind } from './libc.js'

const ioctl = bind<[number, bigint, number]>(
  'ioctl',
  'int ioctl(int fd, unsigned long request, int source)',
)
const lseek = bind<[number, number, number]>(
  'lseek',
  'int64_t lseek(int fd, int64_t offset, int whence)',
)
const copyFileRange = bind<[number, null, number, null, number, number]>(
  'copy_file_range',
  'int64_t copy_file_range(int from, void *fromOffset, int to, void *toOffset, size_t length, unsigned int flags)',
)

const ficlone = 0x4004_9409n
const seekSet = 0
const seekData = 3
const seekHole = 4
const chunkBytes = 1 << 30
const bufferBytes = 1 << 20

const notHere = ['EOPNOTSUPP', 'ENOTSUP', 'EXDEV', 'EINVAL', 'ENOTTY', 'ENOSYS', 'EPERM']

/** How contents of files are brought from one to another. */
export type DataCopier = (from: number, to: number, size: number) => void

/**
 * Makes a function that copies the contents of an open file into an empty one, holes as
 * holes: by sharing extents, else inside the kernel, else through memory. What does not
 * work between two filesystems is not tried for each file again.
 */
export function createDataCopier(): DataCopier {
  let mayClone = true
  let mayCopy = true
  return (from, to, size) => {
    if (size === 0) return
    if (mayClone) {
      mayClone = attempt(() => ioctl(to, ficlone, from))
      if (mayClone) return
    }
    ftruncateSync(to, size)
    for (const { start, end } of findExtents(from, size)) {
      if (mayCopy) mayCopy = attempt(() => copyInKernel(from, to, { start, end }))
      if (!mayCopy) copyThroughMemory(from, to, { start, end })
    }
  }
}

type Extent = { readonly start: number; readonly end: number }

function* findExtents(fd: number, size: number): Generator<Extent> {
  for (let end = 0; end < size; ) {
    const start = seek(fd, end, seekData)
    if (start === undefined || start >= size) return
    end = Math.min(size, seek(fd, start, seekHole) ?? size)
    yield { start, end }
  }
}

// ENXIO: nothing but a hole from here on. A filesystem without holes answers as if there
// were none.
function seek(fd: number, offset: number, whence: number): number | undefined {
  try {
    return lseek(fd, offset, whence)
  } catch (error) {
    if (isErrno(error, 'ENXIO')) return undefined
    throw error
  }
}

function copyInKernel(from: number, to: number, { start, end }: Extent): void {
  lseek(from, start, seekSet)
  lseek(to, start, seekSet)
  for (let left = end - start; left > 0; ) {
    const copied = copyFileRange(from, null, to, null, Math.min(left, chunkBytes), 0)
    // The file has become shorter: what is left is a hole.
    if (copied === 0) return
    left -= copied
  }
}

function copyThroughMemory(from: number, to: number, { start, end }: Extent): void {
  const buffer = Buffer.allocUnsafe(Math.min(bufferBytes, end - start))
  for (let offset = start; offset < end; ) {
    const read = readSync(from, buffer, 0, Math.min(buffer.length, end - offset), offset)
    if (read === 0) return
    for (let written = 0; written < read; ) {
      written += writeSync(to, buffer, written, read - written, offset + written)
    }
    offset += read
  }
}

function attempt(call: () => void): boolean {
  try {
    call()
    return true
  } catch (error) {
    if (isErrno(error, ...notHere)) return false
    throw error
  }
}
