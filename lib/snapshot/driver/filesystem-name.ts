import { statfsSync } from 'node:fs'

// The kernel's numbers of filesystems, statfs(2).
const names: Readonly<Record<number, string>> = {
  0x61756673: 'aufs',
  0x9123683e: 'btrfs',
  0x28cd3d45: 'cramfs',
  0xf15f: 'ecryptfs',
  0xef53: 'extfs',
  0xf2f52010: 'f2fs',
  0x65735546: 'fuse',
  0x47504653: 'gpfs',
  0x000072b6: 'jffs2',
  0x3153464a: 'jfs',
  0x00006969: 'nfs',
  0x794c7630: 'overlayfs',
  0x858458f6: 'ramfs',
  0x52654973: 'reiserfs',
  0x0000517b: 'smb',
  0x73717368: 'squashfs',
  0x01021994: 'tmpfs',
  0xa501fcf5: 'vxfs',
  0x58465342: 'xfs',
  0x2fc12fc1: 'zfs',
}

/** The name of the filesystem that holds a folder; its number in hex for one without. */
export function filesystemName(path: string): string {
  const type = statfsSync(path).type >>> 0
  return names[type] ?? `0x${type.toString(16)}`
}
