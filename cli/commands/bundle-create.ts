import { InvalidArgumentError } from '../../lib/errors.js'
import { writeBundleFile } from '../../lib/remote/bundle-file.js'
import { createBundle } from '../../lib/remote/create-bundle.js'
import type { CommandContext } from '../context.js'
import { objectMembers } from '../documents.js'
import { counted, formatBytes } from '../text.js'

/** `cairn bundle create FILE REF…` */
export async function bundleCreate(
  context: CommandContext,
  file: string,
  refs: readonly string[],
): Promise<void> {
  const { output, signal } = context
  const isPiped = file === '-'
  if (isPiped && output.mode.json) {
    throw new InvalidArgumentError(
      'a bundle on standard output leaves no room there for a document: expected a file, ' +
        'or no --json',
    )
  }
  const repository = await context.repository()
  using progress = output.progress(`bundling ${refs.join(' ')}`)
  const packed = { objects: 0, bytes: 0 }
  const { head, bytes } = await createBundle(repository, refs, {
    onProgress: done => {
      Object.assign(packed, done)
      progress.update(done)
    },
    signal,
  })
  let size = 0
  const counting = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytes) {
      size += chunk.length
      yield chunk
    }
  }
  if (isPiped) for await (const chunk of counting()) await output.write(chunk)
  else await writeBundleFile(file, counting())
  // A bar must not stand where the result goes.
  progress[Symbol.dispose]()
  output.note(
    `bundled ${counted(packed.objects, 'object')}, ${formatBytes(packed.bytes)}, ` +
      `in ${formatBytes(size)}`,
  )
  if (isPiped) return
  const document = {
    file,
    size,
    roots: head.roots.map(objectMembers),
    tags: head.tags.map(({ name }) => name),
    ...packed,
  }
  await output.result(document, '')
}
