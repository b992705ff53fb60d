import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { makeDevice, makeFifo } from '../../lib/system/special-file.js'
import { setXattr } from '../../lib/system/xattr.js'

// VFS_CAP_REVISION_2 with CAP_NET_RAW, permitted and effective.
const capability = Buffer.from([
  1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
])

type Blob = { readonly digest: string; readonly size: number }

/** The layers of an image with what is hard to bring from a tar onto a disk. */
export function makeHardLayers(folder: string): string[] {
  return [makeBase, makeChanges, makeAgain].map((make, index) => {
    const layer = join(folder, `layer-${index}`)
    mkdirSync(layer)
    make((...parts) => join(layer, ...parts))
    return layer
  })
}

type At = (...parts: string[]) => string

function makeBase(at: At): void {
  installShell(at())
  for (const name of ['etc', 'tmp', 'proc', 'sys', 'dev', 'gone/deep', 'opaque/old']) {
    mkdirSync(at(name), { recursive: true })
  }
  chmodSync(at('tmp'), 0o1777)
  writeFileSync(at('etc/file'), 'from the base\n')
  writeFileSync(at('etc/removed'), 'x')
  writeFileSync(at('gone/deep/file'), 'x')
  writeFileSync(at('opaque/old/file'), 'x')
  writeFileSync(at('opaque/lower'), 'x')
  linkSync(at('etc/file'), at('etc/file-again'))
  writeFileSync(at('etc/file-twin'), 'from the base\n')
  writeFileSync(at('setid'), 'x')
  chownSync(at('setid'), 12, 34)
  chmodSync(at('setid'), 0o6755)
  writeFileSync(at('noted'), 'x')
  setXattr(Buffer.from(at('noted')), Buffer.from('user.note'), Buffer.from('a note'))
  setXattr(Buffer.from(at('noted')), Buffer.from('security.capability'), capability)
  symlinkSync('/nowhere', at('link'))
  makeFifo(Buffer.from(at('fifo')))
  makeDevice(Buffer.from(at('null')), 'char', 0x103)
  mkdirSync(at(...Array.from({ length: 18 }, () => 'd'.repeat(200))), { recursive: true })
  writeFileSync(at('n'.repeat(255)), 'long')
  writeFileSync(at('Ünï cödé'), 'x')
}

function makeChanges(at: At): void {
  for (const name of ['etc', 'opaque']) mkdirSync(at(name))
  writeFileSync(at('.wh.gone'), '')
  writeFileSync(at('etc/.wh.removed'), '')
  writeFileSync(at('opaque/.wh..wh..opq'), '')
  writeFileSync(at('opaque/upper'), 'new')
  writeFileSync(at('etc/file-twin'), 'changed\n')
  chownSync(at('etc'), 5, 6)
}

function makeAgain(at: At): void {
  mkdirSync(at('gone'))
  writeFileSync(at('gone/again'), 'again')
  mkdirSync(at('etc'))
  writeFileSync(at('etc/removed'), 'back')
}

// A shell of this machine, with the libraries that it needs.
function installShell(root: string): void {
  const shell = realpathSync('/bin/sh')
  const needed = execFileSync('ldd', [shell], { encoding: 'utf8' })
  const libraries = [...needed.matchAll(/(\/\S+)/g)].map(([path]) => path)
  for (const path of [shell, ...libraries]) {
    const to = join(root, path === shell ? '/bin/sh' : path)
    mkdirSync(dirname(to), { recursive: true })
    copyFileSync(realpathSync(path), to)
    chmodSync(to, 0o755)
  }
}

/** Packs layers into an archive of the OCI image layout, under a name. */
export function packImage(
  folder: string,
  layers: readonly string[],
  name: string,
): string {
  const layout = join(folder, 'layout')
  const blobs = join(layout, 'blobs/sha256')
  mkdirSync(blobs, { recursive: true })
  const put = (bytes: Buffer): Blob => {
    const hash = createHash('sha256').update(bytes).digest('hex')
    writeFileSync(join(blobs, hash), bytes)
    return { digest: `sha256:${hash}`, size: bytes.length }
  }
  const putJson = (value: unknown): Blob => put(Buffer.from(JSON.stringify(value)))
  const stored = layers.map(layer => put(packLayer(layer)))
  const config = putJson({
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: { Cmd: ['/bin/sh'], Env: ['PATH=/bin'] },
    rootfs: { type: 'layers', diff_ids: stored.map(({ digest }) => digest) },
  })
  const kind = 'application/vnd.oci.image'
  const manifest = putJson({
    schemaVersion: 2,
    mediaType: `${kind}.manifest.v1+json`,
    config: { mediaType: `${kind}.config.v1+json`, ...config },
    layers: stored.map(blob => ({ mediaType: `${kind}.layer.v1.tar`, ...blob })),
  })
  const annotations = { 'io.containerd.image.name': name }
  const index = {
    schemaVersion: 2,
    manifests: [{ mediaType: `${kind}.manifest.v1+json`, ...manifest, annotations }],
  }
  writeFileSync(join(layout, 'index.json'), JSON.stringify(index))
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  const archive = join(folder, 'image.tar')
  execFileSync('tar', ['-C', layout, '-cf', archive, '.'])
  return archive
}

function packLayer(layer: string): Buffer {
  const archive = `${layer}.tar`
  const flags = ['--format=pax', '--xattrs', '--xattrs-include=*', '--numeric-owner']
  execFileSync('tar', [...flags, '-C', layer, '-cf', archive, '.'])
  return readFileSync(archive)
}
