import type { CommandContext } from '../context.js'
import { printable } from '../text.js'

/** `cairn tag log TAG` */
export async function tagLog(context: CommandContext, name: string): Promise<void> {
  const repository = await context.repository()
  const entries = (await repository.tags.log(name)).map((entry, n) => ({
    n,
    sequence: entry.sequence,
    time: formatTime(entry.time),
    kind: entry.kind,
    old: entry.old?.digest ?? null,
    new: entry.new?.digest ?? null,
    who: entry.who,
    message: entry.message,
  }))
  const text = entries
    .map(entry => {
      const facts = [entry.n, entry.time, entry.kind, entry.new ?? '-']
      const remarks = [entry.who, entry.message].filter(remark => remark !== '')
      return `${printable([...facts, ...remarks].join('  '))}\n`
    })
    .join('')
  await context.output.result({ tag: name, entries }, text)
}

function formatTime(nanoseconds: bigint): string {
  const date = new Date(Number(nanoseconds / 1_000_000n))
  // A damaged clock may have written what no calendar holds.
  return Number.isNaN(date.getTime()) ? `${nanoseconds} ns` : date.toISOString()
}
