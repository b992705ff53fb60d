import { RepositoryNotFoundError } from '../../lib/errors.js'
import { openRepository } from '../../lib/repository/open.js'
import type { CommandContext } from '../context.js'

/** `cairn __complete tags|remotes`: what completion scripts ask; a name a line. */
export async function complete(
  context: CommandContext,
  what: 'tags' | 'remotes',
): Promise<void> {
  const names = await findNames(context, what)
  await context.output.result({ names }, names.map(name => `${name}\n`).join(''))
}

async function findNames(
  context: CommandContext,
  what: 'tags' | 'remotes',
): Promise<readonly string[]> {
  // Pressing a key must not make a repository: so this does not open as commands do.
  try {
    const repository = await openRepository(context.settings.repositoryFolder)
    const list =
      what === 'tags' ? await repository.tags.list() : await repository.remotes.list()
    return list.map(({ name }) => name)
  } catch (error) {
    if (error instanceof RepositoryNotFoundError) return []
    throw error
  }
}
