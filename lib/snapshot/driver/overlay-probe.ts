import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { openDetachedMount } from '../../system/detached-mount.js'
import { errnoOf } from '../../system/errno.js'
import { hasNativeCalls } from '../../system/libc.js'
import { findXattr } from '../../system/xattr.js'
import { filesystemName } from './filesystem-name.js'

/** Whether overlayfs works in a folder: the options that it needs there, or why not. */
export type OverlayProbe =
  | { readonly works: true; readonly options: readonly string[] }
  | { readonly works: false; readonly reason: string }

// What the kernel may mount, but does not keep its promises on, or only since lately.
const unfit = new Set(['aufs', 'ecryptfs', 'nfs', 'overlayfs', 'smb'])

const wholeIdRange = /^\s*0\s+0\s+4294967295\s*$/

/**
 * Finds out whether overlayfs works below a folder, by a mount that nobody else sees: it
 * must be able to hide a file and to replace a folder.
 */
export function probeOverlay(folder: string): OverlayProbe {
  const filesystem = filesystemName(folder)
  if (unfit.has(filesystem)) return refused(`it cannot work on ${filesystem}`)
  if (/[,:\\]/.test(folder)) {
    return refused('its options cannot name a path with a comma, colon or backslash')
  }
  if (!hasNativeCalls()) return refused('mount(2) is not available on this platform')
  const options = overlayOptions()
  const trial = mkdtempSync(join(folder, 'probe-'))
  try {
    return tryMount(trial, options) ?? { works: true, options }
  } finally {
    rmSync(trial, { recursive: true, force: true })
  }
}

function overlayOptions(): string[] {
  const options = []
  // Moving a layer, or using one twice, must not be refused for an index of its inodes.
  if (existsSync('/sys/module/overlay/parameters/index')) options.push('index=off')
  if (isInUserNamespace()) options.push('userxattr')
  return options
}

// Attributes of the name trusted. are the first user namespace's alone.
function isInUserNamespace(): boolean {
  return !wholeIdRange.test(readFileSync('/proc/self/uid_map', 'latin1'))
}

function tryMount(trial: string, options: readonly string[]): OverlayProbe | undefined {
  const [lower, upper, work] = ['lower', 'upper', 'work'].map(name => join(trial, name))
  if (lower === undefined || upper === undefined || work === undefined) return undefined
  for (const path of [lower, upper, work, join(lower, 'folder')]) mkdirSync(path)
  for (const path of ['file', 'folder/file']) writeFileSync(join(lower, path), '')
  const folders: [string, string][] = [
    ['lowerdir', lower],
    ['upperdir', upper],
    ['workdir', work],
  ]
  try {
    const mounted = openDetachedMount('overlay', [
      ...options.map(splitOption),
      ...folders,
    ])
    try {
      return changeTrial(`/proc/self/fd/${mounted}`, upper, options)
    } finally {
      closeSync(mounted)
    }
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === undefined) throw error
    const on = filesystemName(trial)
    return refused(
      `a trial mount on ${on} failed: ${error instanceof Error ? error.message : errno}`,
    )
  }
}

function changeTrial(
  mounted: string,
  upper: string,
  options: readonly string[],
): OverlayProbe | undefined {
  unlinkSync(join(mounted, 'file'))
  unlinkSync(join(mounted, 'folder', 'file'))
  rmdirSync(join(mounted, 'folder'))
  mkdirSync(join(mounted, 'folder'))
  const hidden = lstatSync(join(upper, 'file'))
  if (!hidden.isCharacterDevice() || hidden.rdev !== 0) {
    return refused('it does not mark removed files as it should')
  }
  const namespace = options.includes('userxattr') ? 'user' : 'trusted'
  const key = Buffer.from(`${namespace}.overlay.opaque`)
  if (findXattr(Buffer.from(join(upper, 'folder')), key)?.toString() === 'y') {
    return undefined
  }
  return refused('it does not mark replaced folders as it should')
}

function splitOption(option: string): [string, string?] {
  const [name = '', value] = option.split('=', 2)
  return value === undefined ? [name] : [name, value]
}

function refused(reason: string): OverlayProbe {
  return { works: false, reason }
}
