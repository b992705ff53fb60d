import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { CairnError, InvalidRepositoryError } from '../../errors.js'
import { findDigest } from '../../object/digest.js'
import { escapeBytes } from '../../object/escape.js'
import { findTagName } from '../../object/tag-name.js'
import { findIrregular } from '../../system/regular-file.js'
import { readFolderNames, readTextNames } from '../folder-names.js'
import type { RepositoryPaths } from '../repository-paths.js'
import type { FoundSession, SessionRegistry } from '../session-registry.js'
import { listStrayTempFiles } from '../stale-temp.js'
import type { TagStore } from '../tag-store.js'
import { type Finding, findingOf } from './finding.js'

/** Checks the files that say what is kept: tags, their logs, mounts. */
export async function* checkReferences(
  paths: RepositoryPaths,
  tags: TagStore,
): AsyncGenerator<Finding, void> {
  yield* foreignNames(paths.tags, name => findTagName(name) !== undefined)
  yield* foreignNames(paths.tagLogs, name => findTagName(name) !== undefined)
  yield* foreignNames(paths.mounts, name => findDigest(name) !== undefined)
  const names = await tags.names()
  for (const name of names) {
    const where = join(paths.tags, name)
    yield* problemOf(() => tags.find(name), { kind: 'tag-file', where })
  }
  for (const name of await tags.listLogs()) {
    const where = join(paths.tagLogs, name)
    yield* problemOf(() => tags.checkLog(name), { kind: 'tag-log', where })
  }
}

/** Finds what is no regular file, or no folder, where a repository has one. */
export function* checkKinds(paths: RepositoryPaths): Generator<Finding, void> {
  const { root, tags, tagLogs, mounts, sessions, temp } = paths
  const packs = join(root, 'packs')
  for (const folder of [tags, tagLogs, mounts, sessions, temp, packs]) {
    const stats = lstatSync(folder, { throwIfNoEntry: false })
    if (stats?.isDirectory() === false) {
      yield irregular(folder, 'a folder', findIrregular(folder) ?? 'a regular file')
    }
  }
  const names = [
    'config',
    'gate',
    'gc.lock',
    'reserve',
    'remotes.json',
    'protected-tags.json',
  ]
  const files = names.map(name => join(root, name))
  for (const folder of [tags, tagLogs, mounts, sessions, packs]) {
    if (lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) continue
    files.push(...readTextNames(folder).map(name => join(folder, name)))
  }
  for (const file of files) {
    const found = findIrregular(file)
    if (found !== undefined) yield irregular(file, 'a regular file', found)
  }
}

function irregular(where: string, expected: string, found: string): Finding {
  const message = `expected ${expected}, found ${found}`
  return { severity: 'error', kind: 'irregular-file', where, message, expected, found }
}

/** Finds what dead sessions and stopped programs left behind. */
export function* checkLeftovers(
  paths: RepositoryPaths,
  sessions: SessionRegistry,
): Generator<Finding, void> {
  for (const { number, state } of readable(sessions)) {
    if (state === 'live') continue
    yield {
      severity: 'notice',
      kind: 'dead-session',
      where: join(paths.sessions, String(number)),
      message: `session ${number} ended without clearing up; the next session does`,
    }
  }
  for (const { path } of listStrayTempFiles(paths.temp)) {
    yield {
      severity: 'notice',
      kind: 'temp-file',
      where: path,
      message: 'a temporary file: in use, or left behind by a stopped program',
    }
  }
}

// What lies there and is no session's file was told by checkKinds.
function readable(sessions: SessionRegistry): FoundSession[] {
  try {
    return sessions.list()
  } catch (error) {
    if (error instanceof InvalidRepositoryError) return []
    throw error
  }
}

function* foreignNames(
  folder: string,
  isKnown: (name: string) => boolean,
): Generator<Finding, void> {
  for (const name of readFolderNames(folder)) {
    if (isKnown(name.toString('latin1'))) continue
    yield {
      severity: 'warning',
      kind: 'foreign-file',
      where: `${folder}/${escapeBytes(name)}`,
      message: 'its name is none that belongs here, so it is passed over',
    }
  }
}

async function* problemOf(
  read: () => Promise<unknown>,
  { kind, where }: Pick<Finding, 'kind' | 'where'>,
): AsyncGenerator<Finding, void> {
  try {
    await read()
  } catch (error) {
    if (!(error instanceof CairnError)) throw error
    yield findingOf(error, { severity: 'error', kind, where })
  }
}
