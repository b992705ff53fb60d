import { randomBytes } from 'node:crypto'
import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { CairnError, InvalidRepositoryError } from '../../errors.js'
import { type Algorithm, findAlgorithmByName } from '../../object/algorithm.js'
import { algorithmOf } from '../../object/digest.js'
import type { FileCalls } from '../../system/file-calls.js'
import { findCompression } from '../compression.js'
import { decodeConfig, encodeConfig, type WrittenConfig } from '../config.js'
import { replaceFile } from '../durable-file.js'
import { readTextNames } from '../folder-names.js'
import { readRepositoryFile } from '../repository-file.js'
import type { RepositoryPaths } from '../repository-paths.js'
import { readTagFile } from '../tag-file.js'
import type { Quarantine, QuarantinedItem } from './quarantine.js'

/**
 * Writes a config anew that cannot be understood, or is gone where packs are: what of it
 * can be read stays, the layout is seen on disk, the algorithm in the tags. The id is new
 * when it was lost. Undefined when there was nothing to do.
 */
export async function repairConfig(
  paths: RepositoryPaths,
  quarantine: Quarantine,
  calls: FileCalls,
): Promise<QuarantinedItem | 'made' | undefined> {
  const bytes = readRepositoryFile(paths.config)
  const problem = bytes === undefined ? undefined : findProblem(bytes, paths.config)
  const isLost = bytes === undefined && layoutOf(paths) === 'pack'
  if (problem === undefined && !isLost) return undefined
  const config = salvage(bytes?.toString('latin1') ?? '', paths)
  const where = paths.config
  const item =
    bytes &&
    (await quarantine.keep({ what: 'file', where, why: problem?.message ?? '' }, [bytes]))
  const temporary = join(paths.root, 'config.new')
  await replaceFile(where, encodeConfig(config), { temporary, calls })
  return item ?? 'made'
}

function findProblem(bytes: Buffer, path: string): InvalidRepositoryError | undefined {
  try {
    decodeConfig(bytes, path)
    return undefined
  } catch (error) {
    if (error instanceof InvalidRepositoryError) return error
    throw error
  }
}

function salvage(text: string, paths: RepositoryPaths): WrittenConfig {
  const field = (key: string): string =>
    new RegExp(`"${key}":"([^"]*)"`).exec(text)?.[1] ?? ''
  const layout = layoutOf(paths)
  const id = field('id')
  const algorithm = findAlgorithmByName(field('algorithm')) ?? algorithmOfTags(paths)
  const compression = findCompression(field('compression')) ?? 'none'
  return {
    version: 1,
    id: /^[0-9a-f]{32}$/.test(id) ? id : randomBytes(16).toString('hex'),
    layout,
    algorithm,
    compression: layout === 'loose' ? 'none' : compression,
  }
}

function layoutOf({ objects }: RepositoryPaths): WrittenConfig['layout'] {
  const stats = lstatSync(objects, { throwIfNoEntry: false })
  return stats?.isDirectory() === true ? 'loose' : 'pack'
}

function algorithmOfTags({ tags }: RepositoryPaths): Algorithm {
  for (const name of readTextNames(tags)) {
    try {
      const tag = readTagFile(join(tags, name))
      if (tag !== undefined) return algorithmOf(tag.descriptor.digest)
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
    }
  }
  const usual = findAlgorithmByName('blake3')
  if (usual === undefined) throw new Error('blake3 is always known')
  return usual
}
