import { InvalidArgumentError } from '../../lib/errors.js'
import { parseGrant } from '../../server/auth/grants.js'
import { TokenFile } from '../../server/auth/token-file.js'
import { parseTokenName } from '../../server/auth/token-list.js'
import type { CommandContext } from '../context.js'
import { parseInteger } from '../parse-number.js'
import { auditOf, type TokenFlags, tokenDocument } from '../token-document.js'

export type TokenCreateFlags = TokenFlags & {
  readonly name: string
  readonly allow: string
  readonly repositories: string
  readonly expires?: string
}

const dayMs = 24 * 60 * 60 * 1000

/** `cairn token create` */
export async function tokenCreate(
  context: CommandContext,
  flags: TokenCreateFlags,
): Promise<void> {
  const grant = parseGrant(flags.repositories.split(','), flags.allow.split(','))
  const file = new TokenFile(flags.tokens)
  const { token, record } = await file.create({
    name: parseTokenName(flags.name),
    grant,
    expires: expiryOf(flags.expires),
  })
  await using audit = auditOf(flags)
  await audit?.record({ action: 'token-create', who: context.who(), token: record.id })
  context.output.note('this is shown once, and nowhere kept:')
  await context.output.result({ token, ...tokenDocument(record) }, `${token}\n`)
}

function expiryOf(days: string | undefined): number | undefined {
  if (days === undefined) return undefined
  const count = Number(parseInteger(days, '--expires'))
  if (count > 0 && count <= 36_500) return Date.now() + count * dayMs
  throw new InvalidArgumentError(`invalid --expires: expected 1 to 36500 days`, {
    found: days,
  })
}
