import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import type { Action } from '../../server/access.js'
import { type AccessRule, parseWho } from '../../server/auth/access-rules.js'
import type { AccessPolicy } from '../../server/auth/authenticate.js'
import { parseGrant } from '../../server/auth/grants.js'
import { PasswordFile } from '../../server/auth/password-file.js'
import { TokenFile } from '../../server/auth/token-file.js'

/** Makes a rule of texts. */
export function rule(
  who: string,
  repositories: string,
  ...actions: readonly Action[]
): AccessRule {
  return { who: [parseWho(who)], grant: parseGrant([repositories], actions) }
}

/** A policy with files of tokens and passwords in a folder. */
export type TestPolicy = AccessPolicy & {
  readonly tokens: TokenFile
  /** Makes a token that counts, and gives it. */
  readonly grant: (
    name: string,
    repositories: string,
    ...actions: readonly Action[]
  ) => Promise<string>
}

/** Makes a policy; each user's password is his name with `-password` behind it. */
export function makePolicy(
  folder: string,
  { rules = [], users = [] }: { rules?: AccessRule[]; users?: readonly string[] } = {},
): TestPolicy {
  const tokens = new TokenFile(join(folder, 'tokens.json'))
  const passwordPath = join(folder, 'passwords')
  const lines = users.map(user => `${user}:${hashSync(`${user}-password`, 4)}\n`)
  writeFileSync(passwordPath, lines.join(''))
  return {
    rules,
    tokens,
    passwords: new PasswordFile(passwordPath),
    grant: async (name, repositories, ...actions) => {
      const grant = parseGrant([repositories], actions)
      return (await tokens.create({ name, grant, expires: undefined })).token
    },
  }
}

/** The value of an Authorization header by a user's name and password. */
export function basic(user: string, password = `${user}-password`): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}
