import type { CommandContext } from '../context.js'

/** `cairn remote add NAME URL` */
export async function remoteAdd(
  context: CommandContext,
  name: string,
  url: string,
): Promise<void> {
  const repository = await context.repository()
  const remote = await repository.remotes.add(name, url)
  context.output.note(`${name} is ${remote.url.href}`)
  await context.output.result({ name, url: remote.url.href }, '')
}
