import { seededRandom } from './seeded-random.js'

/** Whether campaigns run in full. */
export const isLong = process.env['CAIRN_TEST_LONG'] !== undefined

/** What the choices of this run follow from; CAIRN_TEST_SEED repeats a run. */
export const seed = Number(process.env['CAIRN_TEST_SEED'] ?? Date.now() % 1_000_000)

/** A number from 0 to 1, the next of this run. */
export const random = seededRandom(seed)

/** Any of the choices. */
export function pick<Choice>(choices: readonly Choice[]): Choice {
  const choice = choices[Math.floor(random() * choices.length)]
  if (choice === undefined) throw new Error('nothing to choose from')
  return choice
}
