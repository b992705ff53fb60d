import { readFileSync } from 'node:fs'

const folder = new URL('../../../fixtures/golden/', import.meta.url)

/** Reads one file of fixtures/golden. The caller says what it holds. */
export function readGoldenFile(name: string): unknown {
  return JSON.parse(readFileSync(new URL(name, folder), 'utf8'))
}
