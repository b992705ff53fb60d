import type { ReadStream } from 'node:tty'
import { InvalidArgumentError } from '../lib/errors.js'

const maxBytes = 8192

/** Where a secret is typed or piped in. */
export type SecretInput = NodeJS.ReadableStream &
  Pick<Partial<ReadStream>, 'isTTY' | 'setRawMode'>

/**
 * Reads one line that must not show: from a terminal without echo, after `prompt`, or from
 * what is piped in.
 */
export async function readSecret(
  input: SecretInput,
  prompt: (text: string) => void,
  what: string,
): Promise<string> {
  const isTerminal = input.isTTY === true
  if (isTerminal) {
    prompt(`${what}: `)
    input.setRawMode?.(true)
  }
  try {
    let text = ''
    for await (const chunk of input) {
      text += String(chunk)
      if (text.includes('\u0003')) throw new InvalidArgumentError('nothing was given')
      const end = text.search(/[\r\n]/)
      if (end >= 0) return text.slice(0, end)
      if (text.length > maxBytes) {
        throw new InvalidArgumentError(`the ${what} is too long`, { limit: maxBytes })
      }
    }
    return text
  } finally {
    if (isTerminal) {
      input.setRawMode?.(false)
      prompt('\n')
    }
  }
}
