import { InvalidArgumentError } from '../errors.js'
import type { Compression as PayloadCompression } from '../store/pack/payload-coder.js'

/** How a repository compresses what is stored in it, as its config says. */
export type Compression = 'none' | `zstd:${number}`

/** What `zstd` without a level stands for: the level that zstd itself takes. */
const usualLevel = 3

/** Reads the form that a config has: `none`, or `zstd:` and a level from 1 to 19. */
export function findCompression(text: string): Compression | undefined {
  if (text === 'none') return text
  const level = Number(/^zstd:(1?[1-9]|10)$/.exec(text)?.[1])
  return Number.isNaN(level) ? undefined : `zstd:${level}`
}

/** As findCompression, and `zstd` alone; throws InvalidArgumentError. */
export function parseCompression(text: string): Compression {
  const found = text === 'zstd' ? findCompression(`zstd:${usualLevel}`) : undefined
  const compression = found ?? findCompression(text)
  if (compression !== undefined) return compression
  throw new InvalidArgumentError(
    `invalid compression ${text}: expected none, zstd, or zstd:1 to zstd:19`,
    { found: text },
  )
}

/** What a config's word means for the payloads of packs. */
export function payloadCompression(compression: Compression): PayloadCompression {
  if (compression === 'none') return { codec: 'none' }
  return { codec: 'zstd', level: Number(compression.slice('zstd:'.length)) }
}
