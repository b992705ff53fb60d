import { mkdir } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { InvalidArgumentError } from '../../lib/errors.js'
import { type AlgorithmName, findAlgorithmByName } from '../../lib/object/algorithm.js'
import { parseCompression } from '../../lib/repository/compression.js'
import type { StoreLayout } from '../../lib/repository/config.js'
import { initRepository } from '../../lib/repository/init.js'
import type { Repository } from '../../lib/repository/repository.js'
import type { CommandContext } from '../context.js'

export type InitFlags = {
  readonly algorithm: AlgorithmName
  readonly layout: StoreLayout
  readonly compression: string
}

const defaults: InitFlags = { algorithm: 'blake3', layout: 'pack', compression: 'none' }

/** `cairn init` */
export async function init(context: CommandContext, flags: InitFlags): Promise<void> {
  const repository = await initialize(context.settings.repositoryFolder, flags)
  const { id, layout, algorithm, compression } = repository.config
  const folder = resolve(repository.root)
  const kinds = [algorithm.name, layout, ...(compression === 'none' ? [] : [compression])]
  context.output.note(`made the repository ${folder} (${kinds.join(', ')})`)
  await context.output.result(
    { repository: folder, id, layout, algorithm: algorithm.name, compression },
    '',
  )
}

/** Makes a repository, and the folders above it that are missing. */
export async function initialize(
  folder: string,
  flags: InitFlags = defaults,
): Promise<Repository> {
  const algorithm = findAlgorithmByName(flags.algorithm)
  if (algorithm === undefined) {
    throw new InvalidArgumentError(`unknown algorithm ${flags.algorithm}`)
  }
  const { layout } = flags
  const compression = parseCompression(flags.compression)
  await mkdir(dirname(resolve(folder)), { recursive: true })
  return initRepository(folder, { algorithm, layout, compression })
}
