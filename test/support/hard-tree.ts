import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { DirectoryDescent } from '../../lib/system/directory-descent.js'
import { setModificationTime } from '../../lib/system/file-times.js'
import { makeDevice, makeFifo, makeSocket } from '../../lib/system/special-file.js'
import { setXattr } from '../../lib/system/xattr.js'

/** Whether this process may make everything that makeHardTree makes. */
export const isRoot = process.geteuid?.() === 0

const xattr = (path: string, key: string, value: string | Buffer): void =>
  setXattr(Buffer.from(path), Buffer.from(key), Buffer.from(value))

// cap_net_raw=ep, revision 2, as setcap(8) writes it.
const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')

// user::rw-, user:123456:r--, group::r--, mask::r--, other::---
const accessList = Buffer.from(
  '0200000001000600ffffffff02000400' +
    '40e2010004000400ffffffff10000400' +
    'ffffffff20000000ffffffff',
  'hex',
)

/** Makes a folder that holds one of everything that a checkout has to give back. */
export function makeHardTree(folder: string): void {
  const at = (name: string): string => join(folder, name)
  mkdirSync(folder)
  writeFileSync(at('plain'), 'plain\n')
  for (const [name, mode] of [
    ['setuid', 0o4755],
    ['setgid', 0o2755],
    ['both', 0o6711],
    ['none', 0o000],
  ] as const) {
    writeFileSync(at(name), name)
    chownSync(at(name), 123_456, 654_321)
    chmodSync(at(name), mode)
  }
  mkdirSync(at('sticky'))
  chmodSync(at('sticky'), 0o1777)
  mkdirSync(at('inherits'))
  chownSync(at('inherits'), 5, 6)
  chmodSync(at('inherits'), 0o2775)
  writeFileSync(at('inherits/child'), '')
  mkdirSync(at('closed'))
  writeFileSync(at('closed/inside'), 'x')
  chmodSync(at('closed'), 0o000)
  mkdirSync(at('empty'))

  writeFileSync(at('capable'), 'x')
  xattr(at('capable'), 'security.capability', capability)
  writeFileSync(at('listed'), 'x')
  xattr(at('listed'), 'system.posix_acl_access', accessList)
  mkdirSync(at('defaults'))
  xattr(at('defaults'), 'system.posix_acl_default', accessList)
  mkdirSync(at('defaults/below'))
  writeFileSync(at('noted'), 'x', { mode: 0o444 })
  xattr(at('noted'), 'user.note', 'a note')
  xattr(at('noted'), 'user.empty', '')
  xattr(at('noted'), 'trusted.note', Buffer.from([0, 1, 255]))

  symlinkSync('nowhere', at('link'))
  xattr(at('link'), 'trusted.link', 'on the link')
  symlinkSync(Buffer.from([0x2f, 0xff, 0x0a]), at('odd-link'))
  makeFifo(Buffer.from(at('fifo')))
  chmodSync(at('fifo'), 0o620)
  makeSocket(Buffer.from(at('socket')))
  makeDevice(Buffer.from(at('char')), 'char', 0x103)
  makeDevice(Buffer.from(at('block')), 'block', 0x1001_0301)

  linkSync(at('plain'), at('plain-again'))
  linkSync(at('plain'), at('inherits/plain'))
  linkSync(at('fifo'), at('fifo-again'))
  linkSync(at('link'), at('link-again'))
  writeFileSync(at('plain-twin'), 'plain\n')

  makeSparse(at('sparse'))
  writeFileSync(
    Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0x80, 0x0a])]),
    'x',
  )
  writeFileSync(at('n'.repeat(255)), 'long name')
  appendFileSync(at('\\backslash\t'), 'x')
  makeDeep(folder, 20)
  // Made last, as everything above touches the folders.
  setModificationTime(Buffer.from(at('plain')), 1n, 123_456_789)
  setModificationTime(Buffer.from(at('link')), -5n, 999_999_999)
  setModificationTime(Buffer.from(at('closed')), 2_000_000_000n, 1)
  setModificationTime(Buffer.from(folder), 1_500_000_000n, 7)
}

function makeSparse(path: string): void {
  const fd = openSync(path, 'w')
  ftruncateSync(fd, 64 * 1024 * 1024 + 5)
  writeSync(fd, 'in the middle', 10_000_000)
  closeSync(fd)
}

// 20 names of 250 bytes: longer than PATH_MAX together.
function makeDeep(folder: string, levels: number): void {
  using descent = new DirectoryDescent(folder)
  const name = Buffer.alloc(250, 'd')
  for (let level = 0; level < levels; level++) {
    mkdirSync(descent.path(name))
    descent.enter(name)
  }
  writeFileSync(descent.path(Buffer.from('bottom')), 'deep')
}

/** Runs a program that is not ours, for a second opinion; undefined when it is missing. */
export function findOutput(program: string, args: readonly string[]): string | undefined {
  const { error, status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  if (error !== undefined) return undefined
  if (status !== 0) throw new Error(`${program}: ${stderr}`)
  return stdout
}
