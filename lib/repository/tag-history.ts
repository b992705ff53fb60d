import { type Descriptor, sameDescriptor } from '../object/descriptor.js'
import type { TagFile } from './tag-file.js'
import type { TagLogRecord } from './tag-log-record.js'

/** One change of a tag that took effect. */
export type TagLogEntry = Omit<TagLogRecord, 'kind'> & {
  readonly kind: 'set' | 'remove' | 'external'
}

/** Whether two states of a tag are the same; undefined is "no tag". */
export function sameState(
  one: Descriptor | undefined,
  other: Descriptor | undefined,
): boolean {
  if (one === undefined || other === undefined) return one === other
  return sameDescriptor(one, other)
}

/**
 * The record that has to go in front of a new one, because the tag file is not what the
 * last record says; undefined when it is.
 *
 * Equal to the old state of a set or remove: that change was cut off between log and tag
 * file, so it is declared void. Anything else was done by another program.
 */
export function reconcilingRecord(
  last: TagLogRecord | undefined,
  current: Descriptor | undefined,
  time: bigint,
): TagLogRecord | undefined {
  if (sameState(last?.new, current)) return undefined
  const wasCutOff =
    (last?.kind === 'set' || last?.kind === 'remove') && sameState(last.old, current)
  return {
    sequence: (last?.sequence ?? 0n) + 1n,
    time,
    kind: wasCutOff ? 'void' : 'external',
    old: last?.new,
    new: current,
    who: '',
    message: '',
    signature: Buffer.alloc(0),
  }
}

/**
 * The changes of a tag that took effect, oldest first: what was voided is left out, and
 * what the tag file shows beyond the log is put in, without being written.
 */
export function foldHistory(
  records: Iterable<TagLogRecord>,
  file: TagFile | undefined,
): TagLogEntry[] {
  const entries: TagLogEntry[] = []
  let last: TagLogRecord | undefined
  const add = (record: TagLogRecord): void => {
    last = record
    const { kind } = record
    if (kind === 'void') entries.pop()
    else entries.push({ ...record, kind })
  }
  for (const record of records) add(record)
  const missing = reconcilingRecord(last, file?.descriptor, file?.modified ?? 0n)
  if (missing !== undefined) add(missing)
  return entries
}
