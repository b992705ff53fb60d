import { TokenFile } from '../../server/auth/token-file.js'
import type { CommandContext } from '../context.js'
import { auditOf, type TokenFlags, tokenDocument } from '../token-document.js'

/** `cairn token revoke ID` */
export async function tokenRevoke(
  context: CommandContext,
  idOrName: string,
  flags: TokenFlags,
): Promise<void> {
  const record = await new TokenFile(flags.tokens).revoke(idOrName)
  await using audit = auditOf(flags)
  await audit?.record({ action: 'token-revoke', who: context.who(), token: record.id })
  context.output.note(`${record.name} counts no more`)
  await context.output.result(tokenDocument(record), '')
}
