import { chownSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const nobody = 65_534

/** Runs an action as a user without privileges, to whom `folder` is given first. */
export async function asOrdinaryUser<Result>(
  folder: string,
  action: () => Promise<Result>,
): Promise<Result> {
  const { geteuid, seteuid } = process
  if (geteuid?.() !== 0 || seteuid === undefined) return action()
  chownSync(folder, nobody, nobody)
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    chownSync(join(folder, name), nobody, nobody)
  }
  seteuid(nobody)
  try {
    return await action()
  } finally {
    seteuid(0)
  }
}
