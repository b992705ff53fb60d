import { InvalidArgumentError, WrongObjectTypeError } from '../../lib/errors.js'
import { escapeBytes } from '../../lib/object/escape.js'
import type { ObjectStream } from '../../lib/store/object-store.js'
import { resolveTreePath } from '../../lib/tree/tree-path.js'
import { resolveApplication } from '../application-ref.js'
import type { CommandContext } from '../context.js'
import { formatJson } from '../json.js'
import type { Output } from '../output.js'
import { splitRefPath } from '../ref-path.js'

/** `cairn cat REF:PATH` */
export async function cat(context: CommandContext, text: string): Promise<void> {
  const { ref, path } = splitRefPath(text)
  if (path === undefined) {
    throw new InvalidArgumentError(
      `no path in ${JSON.stringify(text)}: expected REF:PATH`,
      { found: text },
    )
  }
  const repository = await context.repository()
  const application = await resolveApplication(repository, ref)
  const node = await resolveTreePath(repository.objects, application, path)
  if (node.entry.kind !== 'regular') {
    const shown = escapeBytes(node.path)
    throw new WrongObjectTypeError(
      `${shown === '' ? '/' : shown} is no regular file: it is a ${node.kind}`,
      { path: shown, expected: 'regular', found: node.kind },
    )
  }
  const { digest } = node.entry.file
  await using content = await repository.objects.open(digest)
  const { output } = context
  if (!output.mode.json) {
    await copy(output, content, context.signal)
    return
  }
  const facts = formatJson({ digest, path: escapeBytes(node.path), size: content.size })
  await output.write(`${facts.slice(0, -1)},"encoding":"base64","content":"`)
  await copyBase64(output, content, context.signal)
  await output.write('"}\n')
}

async function copy(
  output: Output,
  content: ObjectStream,
  signal: AbortSignal,
): Promise<void> {
  for await (const chunk of content) {
    signal.throwIfAborted()
    await output.write(chunk)
  }
}

async function copyBase64(
  output: Output,
  content: ObjectStream,
  signal: AbortSignal,
): Promise<void> {
  // Three bytes make four digits: what is left over waits for the next chunk.
  let rest = Buffer.alloc(0)
  for await (const chunk of content) {
    signal.throwIfAborted()
    const bytes = Buffer.concat([rest, chunk])
    const whole = bytes.length - (bytes.length % 3)
    await output.write(bytes.subarray(0, whole).toString('base64'))
    rest = bytes.subarray(whole)
  }
  await output.write(rest.toString('base64'))
}
