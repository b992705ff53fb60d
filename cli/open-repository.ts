import { RepositoryExistsError, RepositoryNotFoundError } from '../lib/errors.js'
import type { Repository } from '../lib/repository/repository.js'
import type { Output } from './output.js'
import type { Settings } from './settings.js'

/** Opens the repository that the settings name; makes it if it is the user's own. */
export async function openRepositoryOf(
  settings: Settings,
  output: Output,
): Promise<Repository> {
  const repository = await openOrMake(settings, output)
  const { algorithm, layout } = repository.config
  output.detail(`repository ${repository.root} (${algorithm.name}, ${layout})`)
  return repository
}

async function openOrMake(settings: Settings, output: Output): Promise<Repository> {
  const { openRepository } = await import('../lib/repository/open.js')
  try {
    return await openRepository(settings.repositoryFolder)
  } catch (error) {
    const isOwn = settings.repositoryFrom === 'default'
    if (!(error instanceof RepositoryNotFoundError) || !isOwn) throw error
  }
  try {
    const { initialize } = await import('./commands/init.js')
    const repository = await initialize(settings.repositoryFolder)
    output.note(`made the repository ${settings.repositoryFolder}`)
    return repository
  } catch (error) {
    // Another first use was faster.
    if (error instanceof RepositoryExistsError) {
      return await openRepository(settings.repositoryFolder)
    }
    throw error
  }
}
