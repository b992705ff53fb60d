import type { CommandContext } from '../context.js'

/** `cairn remote remove NAME` */
export async function remoteRemove(context: CommandContext, name: string): Promise<void> {
  const repository = await context.repository()
  await repository.remotes.remove(name)
  context.output.note(`removed ${name}`)
  await context.output.result({ name }, '')
}
