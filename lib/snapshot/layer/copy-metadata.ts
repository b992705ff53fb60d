import { type BigIntStats, chmodSync, lchownSync, lstatSync } from 'node:fs'
import { isErrno } from '../../system/errno.js'
import { setTimes } from '../../system/file-times.js'
import { findXattr, listXattrs, setXattr } from '../../system/xattr.js'

/**
 * Gives an entry the owner, mode, extended attributes and times of another.
 *
 * In this order: chown(2) clears set-id bits and capabilities, and all of them the times.
 */
export function copyMetadata(
  from: Buffer,
  to: Buffer,
  stats: BigIntStats,
  isCopied: (key: Buffer) => boolean = () => true,
): void {
  lchownSync(to, Number(stats.uid), Number(stats.gid))
  if (!stats.isSymbolicLink()) chmodSync(to, Number(stats.mode) & 0o7777)
  for (const key of listXattrs(from)) {
    const value = isCopied(key) ? findXattr(from, key) : undefined
    if (value !== undefined) copyXattr(to, key, value)
  }
  setTimes(to, { accessed: stats.atimeNs, modified: stats.mtimeNs })
}

// What overlayfs notes about a layer's root is no part of the tree.
const overlayOwn = /^(?:trusted|user)\.overlay\./

/** Makes the root of a new layer say of itself what the root below it says. */
export function copyLayerRoot(from: string, to: string): void {
  const source = Buffer.from(from)
  const stats = lstatSync(source, { bigint: true })
  copyMetadata(
    source,
    Buffer.from(to),
    stats,
    key => !overlayOwn.test(key.toString('latin1')),
  )
}

function copyXattr(to: Buffer, key: Buffer, value: Buffer): void {
  try {
    setXattr(to, key, value)
  } catch (error) {
    // A security module labels what is made by rules of its own.
    if (!key.toString('latin1').startsWith('security.selinux')) throw error
    if (!isErrno(error, 'EPERM', 'EACCES', 'EOPNOTSUPP', 'ENOTSUP', 'EINVAL')) throw error
  }
}
