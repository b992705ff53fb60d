import { InvalidArgumentError } from '../../lib/errors.js'
import { parseRemoteUrl } from '../../lib/repository/remote-url.js'
import type { CommandContext } from '../context.js'

export type LoginFlags = { readonly user?: string }

const maxSecretBytes = 4096

/** `cairn login URL` */
export async function login(
  context: CommandContext,
  address: string,
  { user }: LoginFlags,
): Promise<void> {
  const url = parseRemoteUrl(address)
  const secret = await context.readSecret(user === undefined ? 'token' : 'password')
  if (secret === '' || secret.length > maxSecretBytes || /\s/.test(secret)) {
    throw new InvalidArgumentError(
      'expected a token or password on standard input, in one line without blanks',
    )
  }
  const authorization =
    user === undefined
      ? `Bearer ${secret}`
      : `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    context.output.warn(`${url.host} gets it over a connection that others can read`)
  }
  const credentials = await context.credentials()
  await credentials.set(url, authorization)
  context.output.note(`kept for ${url.href} in ${credentials.path}`)
  await context.output.result({ url: url.href, path: credentials.path }, '')
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || host.startsWith('127.')
}
