import { closeSync, constants, mkdtempSync, openSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { openDetachedMount } from '../../system/detached-mount.js'
import { isErrno } from '../../system/errno.js'
import { mount, unmount } from '../../system/mount.js'
import type { LayerMount } from './layer-mounts.js'

/** A whole tree that can be read at a path. */
export type OpenTree = Disposable & { readonly path: string }

// The kernel's bound for one value, with the byte that ends it.
const maxValueBytes = 255

/**
 * Puts the layers of a snapshot together, read only, where nobody else sees them; ends
 * with the process at the latest.
 *
 * @param scratch - a folder to mount on for a moment, which kernels before 6.8 need for
 *   snapshots of many layers
 */
export function openTree(layers: LayerMount, scratch: string): OpenTree {
  if (layers.kind === 'folder') return { path: layers.path, [Symbol.dispose]() {} }
  const fd = openOverlay(layers, scratch)
  return {
    path: `/proc/self/fd/${fd}/.`,
    [Symbol.dispose]: () => closeSync(fd),
  }
}

type OverlayLayers = LayerMount & { readonly kind: 'overlay' }

function openOverlay(layers: OverlayLayers, scratch: string): number {
  const folders = [String(layers.upper), ...layers.lowers]
  const together = folders.join(':')
  if (Buffer.byteLength(together) <= maxValueBytes) {
    return openLayers(layers, [['lowerdir', together]])
  }
  try {
    return openLayers(
      layers,
      folders.map(folder => ['lowerdir+', folder]),
    )
  } catch (error) {
    if (!isErrno(error, 'EINVAL')) throw error
    return openByPath(layers.options, together, scratch)
  }
}

function openLayers(
  { options }: OverlayLayers,
  folders: readonly (readonly [string, string])[],
): number {
  const others = options.map((option): [string, string?] => {
    const [name = '', value] = option.split('=', 2)
    return value === undefined ? [name] : [name, value]
  })
  return openDetachedMount('overlay', [...others, ...folders])
}

/** Mounts on a folder, which is let go of at once; what was opened there stays. */
export function openByPath(
  options: readonly string[],
  lowerdir: string,
  scratch: string,
): number {
  const target = mkdtempSync(join(scratch, 'mount-'))
  try {
    const request = [...options, 'ro', `lowerdir=${lowerdir}`]
    mount(target, { type: 'overlay', source: 'overlay', options: request })
    try {
      return openSync(target, constants.O_RDONLY | constants.O_DIRECTORY)
    } finally {
      unmount(target)
    }
  } finally {
    rmdirSync(target)
  }
}
