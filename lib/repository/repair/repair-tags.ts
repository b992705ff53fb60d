import { join } from 'node:path'
import { CairnError, InvalidTagFileError } from '../../errors.js'
import {
  type Descriptor,
  encodeDescriptor,
  sameDescriptor,
} from '../../object/descriptor.js'
import type { TagName } from '../../object/tag-name.js'
import type { ObjectReader } from '../../store/object-store.js'
import type { FileCalls } from '../../system/file-calls.js'
import { findIrregular } from '../../system/regular-file.js'
import { describeObject } from '../describe-object.js'
import { ensureFolder, replaceFile } from '../durable-file.js'
import { withLock } from '../lock.js'
import { readRepositoryFile } from '../repository-file.js'
import type { RepositoryPaths } from '../repository-paths.js'
import { replacementName } from '../stale-temp.js'
import { readTagFile } from '../tag-file.js'
import { readTagLog, replaceTagLog } from '../tag-log.js'
import type { TagLogRecord } from '../tag-log-record.js'
import type { TagStore } from '../tag-store.js'
import type { Quarantine, QuarantinedItem } from './quarantine.js'

/** What a repair of tags works on. */
export type RepairedTags = {
  readonly paths: RepositoryPaths
  readonly tags: TagStore
  readonly objects: ObjectReader
  readonly quarantine: Quarantine
  readonly calls: FileCalls
}

/**
 * Begins damaged logs anew: with the records in front of the damage, and what the tag names
 * now. The damaged log is kept aside.
 */
export async function repairTagLogs(rooms: RepairedTags): Promise<QuarantinedItem[]> {
  const items: QuarantinedItem[] = []
  const { paths, tags, quarantine, calls } = rooms
  for (const name of await tags.listLogs()) {
    await withLock(paths, { mode: 'exclusive' }, async () => {
      const where = join(paths.tagLogs, name)
      const { records, problem } = readUntilDamage(where)
      if (problem === undefined) return
      const condition = { what: 'tag-log', where, why: problem.message } as const
      items.push(await quarantine.keep(condition, [bytesOf(where)]))
      const current = readable(join(paths.tags, name))
      await ensureFolder(paths.temp, calls)
      await replaceTagLog(where, withCurrent(records, current), {
        temporary: join(paths.temp, replacementName),
        calls,
      })
    })
  }
  return items
}

/**
 * Restores tag files that cannot be read, or name what is not as they say: from the log,
 * where what that says last is there, else from the object. What was there is kept aside.
 */
export async function repairTagFiles(rooms: RepairedTags): Promise<QuarantinedItem[]> {
  const items: QuarantinedItem[] = []
  const { paths, tags, quarantine, calls } = rooms
  for (const name of await tags.names()) {
    await withLock(paths, { mode: 'exclusive' }, async () => {
      const where = join(paths.tags, name)
      const problem = await problemOfTag(rooms, where)
      if (problem === undefined) return
      const right = await rightValue(rooms, name)
      if (right === undefined) return
      const condition = { what: 'tag', where, why: problem } as const
      const irregular = findIrregular(where)
      items.push(
        // A folder must go first; anything else is replaced at once.
        irregular === 'a folder'
          ? await quarantine.move(condition)
          : await quarantine.keep(condition, irregular ? [] : [bytesOf(where)]),
      )
      await ensureFolder(paths.temp, calls)
      const temporary = join(paths.temp, replacementName)
      await replaceFile(where, encodeDescriptor(right), { temporary, calls })
    })
  }
  return items
}

function bytesOf(path: string): Buffer {
  return readRepositoryFile(path) ?? Buffer.alloc(0)
}

function readUntilDamage(path: string): {
  records: TagLogRecord[]
  problem: InvalidTagFileError | undefined
} {
  const records: TagLogRecord[] = []
  try {
    for (const record of readTagLog(path)) records.push(record)
    return { records, problem: undefined }
  } catch (error) {
    if (!(error instanceof InvalidTagFileError)) throw error
    return { records, problem: error }
  }
}

// Not `void`, whatever the records say: what lies between them and now is lost.
function withCurrent(
  records: readonly TagLogRecord[],
  current: Descriptor | undefined,
): TagLogRecord[] {
  const last = records.at(-1)
  const isKnown =
    current === undefined || last?.new === undefined
      ? current === last?.new
      : sameDescriptor(current, last.new)
  if (isKnown) return [...records]
  const record: TagLogRecord = {
    sequence: (last?.sequence ?? 0n) + 1n,
    time: BigInt(Date.now()) * 1_000_000n,
    kind: 'external',
    old: last?.new,
    new: current,
    who: '',
    message: 'the log was damaged here, and begun anew by a repair',
    signature: Buffer.alloc(0),
  }
  return [...records, record]
}

function readable(path: string): Descriptor | undefined {
  try {
    return readTagFile(path)?.descriptor
  } catch (error) {
    if (error instanceof CairnError) return undefined
    throw error
  }
}

async function problemOfTag(
  { objects }: RepairedTags,
  path: string,
): Promise<string | undefined> {
  let named: Descriptor | undefined
  try {
    named = readTagFile(path)?.descriptor
  } catch (error) {
    if (error instanceof InvalidTagFileError) return error.message
    throw error
  }
  if (named === undefined) return undefined
  const found = await findDescription(objects, named)
  if (found === undefined) return `it names ${named.digest}, which is not here`
  return sameDescriptor(found, named) ? undefined : `${named.digest} is not as it says`
}

async function rightValue(
  rooms: RepairedTags,
  name: TagName,
): Promise<Descriptor | undefined> {
  const { paths, objects } = rooms
  const { records } = readUntilDamage(join(paths.tagLogs, name))
  const logged = records.at(-1)?.new
  if (logged !== undefined) {
    const found = await findDescription(objects, logged)
    if (found !== undefined && sameDescriptor(found, logged)) return logged
  }
  const named = readable(join(paths.tags, name))
  const found = named && (await findDescription(objects, named))
  return found?.type === 'application' ? found : undefined
}

async function findDescription(
  objects: ObjectReader,
  { digest }: Descriptor,
): Promise<Descriptor | undefined> {
  objects.refresh?.()
  try {
    return await describeObject(objects, digest)
  } catch (error) {
    if (error instanceof CairnError) return undefined
    throw error
  }
}
