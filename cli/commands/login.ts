import { InvalidArgumentError } from '../../lib/errors.js'
import { parseRemoteUrl } from '../../lib/repository/remote-url.js'
import type { CommandContext } from '../context.js'

export type LoginFlags = { readonly user?: string }

const maxSecretLength = 2048

/** `cairn login URL` */
export async function login(
  context: CommandContext,
  address: string,
  { user }: LoginFlags,
): Promise<void> {
  const url = parseRemoteUrl(address)
  const authorization =
    user === undefined
      ? bearer(await context.readSecret('token'))
      : basic(user, await context.readSecret('password'))
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    context.output.warn(`${url.host} gets it over a connection that others can read`)
  }
  const credentials = await context.credentials()
  await credentials.set(url, authorization)
  context.output.note(`kept for ${url.href} in ${credentials.path}`)
  await context.output.result({ url: url.href, path: credentials.path }, '')
}

function bearer(token: string): string {
  if (/^[\w.~+/=-]+$/.test(token) && token.length <= maxSecretLength) {
    return `Bearer ${token}`
  }
  throw new InvalidArgumentError(
    'expected a token on standard input, in one line without blanks',
  )
}

function basic(user: string, password: string): string {
  if (!/^[^:\p{Cc}]{1,128}$/u.test(user)) {
    throw new InvalidArgumentError('invalid --user: expected a name without a colon', {
      found: user,
    })
  }
  if (password === '' || password.length > maxSecretLength) {
    throw new InvalidArgumentError('expected a password on standard input, in one line')
  }
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host)
}
