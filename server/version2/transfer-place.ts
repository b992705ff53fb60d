import { BusyError } from '../../lib/errors.js'
import type { TransferKind } from '../transfer-sessions.js'
import type { Version2Context, Version2Exchange } from './context.js'

/** A place for one transfer, on its principal's account; disposing gives it back. */
export type TransferPlace = Disposable & {
  /** Aborts when the server wants the transfer to end. */
  readonly signal: AbortSignal
  /** Waits until that many bytes may pass. */
  readonly pass: (bytes: number) => Promise<void>
}

/** Takes a place; throws BusyError when the server or the principal has none left. */
export function takePlace(
  { sessions, accounts, limits, isClosing }: Version2Context,
  { principal, log }: Version2Exchange,
  kind: TransferKind,
): TransferPlace {
  if (isClosing()) throw new BusyError('the server is closing')
  const { transfers, uploads, ...ofPrincipal } = limits()
  const account = accounts.begin(principal, log.peer, ofPrincipal)
  try {
    const session = sessions.begin(kind, { transfers, uploads })
    const { signal } = session
    return {
      signal,
      pass: async bytes => account.pass(bytes, signal),
      [Symbol.dispose]: () => {
        session[Symbol.dispose]()
        account[Symbol.dispose]()
      },
    }
  } catch (error) {
    account[Symbol.dispose]()
    throw error
  }
}

/** Lets chunks through no faster than they may pass. */
export async function* paced(
  chunks: AsyncIterable<Uint8Array>,
  { pass }: TransferPlace,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    await pass(chunk.length)
    yield chunk
  }
}
