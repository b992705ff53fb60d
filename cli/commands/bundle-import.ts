import { InvalidArgumentError } from '../../lib/errors.js'
import { readBundleFile } from '../../lib/remote/bundle-file.js'
import { importBundle } from '../../lib/remote/import-bundle.js'
import type { CommandContext } from '../context.js'
import { objectMembers } from '../documents.js'
import { counted, formatBytes } from '../text.js'

export type BundleImportFlags = { readonly tags?: boolean; readonly tagPrefix?: string }

/** `cairn bundle import FILE` */
export async function bundleImport(
  context: CommandContext,
  file: string,
  flags: BundleImportFlags,
): Promise<void> {
  const { output, signal } = context
  if (flags.tags === true && flags.tagPrefix !== undefined) {
    throw new InvalidArgumentError('expected at most one of --tags and --tag-prefix')
  }
  const tagPrefix = flags.tags === true ? '' : flags.tagPrefix
  const isPiped = file === '-'
  const source = isPiped ? process.stdin : readBundleFile(file)
  const where = isPiped ? 'standard input' : file
  const repository = await context.repository()
  using progress = output.progress(`importing ${where}`)
  const { roots, tags, objects, bytes } = await importBundle(source, repository, {
    where,
    ...(tagPrefix === undefined ? {} : { tagPrefix }),
    who: context.who(),
    onProgress: done => progress.update(done),
    signal,
  })
  // A bar must not stand where the result goes.
  progress[Symbol.dispose]()
  output.note(`imported ${counted(objects, 'object')}, ${formatBytes(bytes)}`)
  for (const { name, descriptor } of tags) {
    output.note(`${name} names ${descriptor.digest}`)
  }
  await output.result(
    {
      roots: roots.map(objectMembers),
      tags: tags.map(({ name, descriptor }) => ({ name, digest: descriptor.digest })),
      objects,
      bytes,
    },
    roots.map(({ digest }) => `${digest}\n`).join(''),
  )
}
