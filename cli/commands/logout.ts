import { parseRemoteUrl } from '../../lib/repository/remote-url.js'
import type { CommandContext } from '../context.js'

/** `cairn logout URL` */
export async function logout(context: CommandContext, address: string): Promise<void> {
  const url = parseRemoteUrl(address)
  const credentials = await context.credentials()
  const removed = await credentials.remove(url)
  context.output.note(removed ? `forgot what ${url.href} was shown` : 'there was nothing')
  await context.output.result({ url: url.href, removed }, '')
}
