import { escapeBytes } from '../lib/object/escape.js'

/**
 * Makes a text safe for a terminal: what could move the cursor or hide is escaped.
 *
 * For texts that may hold escaped bytes already; bytes themselves go through escapeBytes.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, character =>
    escapeBytes(Buffer.from(character)),
  )
}

/** A count of bytes for people: `512 B`, `1.5 KiB`, `20.0 MiB`. */
export function formatBytes(bytes: number | bigint): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB']
  let value = Number(bytes)
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`
}

/** A count with its noun: `1 object`, `12 objects`. */
export function counted(count: number | bigint, noun: string, plural?: string): string {
  return `${count} ${BigInt(count) === 1n ? noun : (plural ?? `${noun}s`)}`
}

/** A time span for people: `0:07`, `12:30`, `1:02:03`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  if (parts[0] === 0) parts.shift()
  return parts
    .map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, '0')))
    .join(':')
}

/** Pads the columns of a table to their widest cell, the last one not at all. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length)
    })
  }
  return rows
    .map(row => {
      const cells = row.map((cell, column) =>
        column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0),
      )
      return `${cells.join('  ')}\n`
    })
    .join('')
}
