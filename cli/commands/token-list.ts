import { TokenFile } from '../../server/auth/token-file.js'
import type { CommandContext } from '../context.js'
import { formatTable, printable } from '../text.js'
import { type TokenFlags, tokenDocument } from '../token-document.js'

/** `cairn token list` */
export async function tokenList(
  context: CommandContext,
  { tokens: path }: TokenFlags,
): Promise<void> {
  const tokens = new TokenFile(path).list().map(tokenDocument)
  await context.output.result(
    { tokens },
    formatTable(
      tokens.map(({ id, name, state, actions, repositories }) => [
        id,
        printable(name),
        state,
        actions.join(','),
        repositories.join(','),
      ]),
    ),
  )
}
