import { readFileSync } from 'node:fs'

const folder = new URL('../../../fixtures/', import.meta.url)

/** Reads one JSON file of the folder fixtures. The caller says what it holds. */
export function readFixture(name: string): unknown {
  return JSON.parse(readFileSync(new URL(name, folder), 'utf8'))
}
