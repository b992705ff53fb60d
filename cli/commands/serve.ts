import { once } from 'node:events'
import { resolve } from 'node:path'
import { InvalidArgumentError } from '../../lib/errors.js'
import { createServer } from '../../server/cairn-server.js'
import { formatLogEntry, type LogEntry } from '../../server/log-entry.js'
import type { CommandContext } from '../context.js'
import { formatListenUrl, parseListenAddress } from '../listen-address.js'

export type ServeFlags = {
  readonly root?: string
  readonly listen: string
  readonly readOnly?: boolean
  readonly create?: boolean
  readonly allowAnonymousPush?: boolean
}

// Transfers in flight may take so long to finish; a second signal does not wait.
const graceMs = 60_000

/** `cairn serve` */
export async function serve(context: CommandContext, flags: ServeFlags): Promise<void> {
  const { create = false, readOnly = false, allowAnonymousPush = false } = flags
  const wanted = parseListenAddress(flags.listen)
  if (create && flags.root === undefined) {
    throw new InvalidArgumentError('--create needs --root: where repositories are made')
  }
  if (flags.root !== undefined && context.settings.repositoryFrom === 'flag') {
    throw new InvalidArgumentError(
      'expected at most one of --repo, to serve one repository, and --root, to serve all ' +
        'below a folder',
    )
  }
  const root = flags.root ?? (await context.repository()).root
  await using server = createServer({
    root,
    create,
    readOnly,
    allowAnonymousPush,
    logger: entry => log(context, entry),
  })
  const { port } = await server.listen(wanted)
  const { host } = wanted
  const url = formatListenUrl({ host, port })
  const refusal = server.pushRefusal
  if (refusal !== undefined && !readOnly) {
    context.output.note(
      'pushes are refused on an address that other machines reach: ' +
        '--allow-anonymous-push takes them from anyone',
    )
  }
  await context.output.result(
    {
      url,
      host,
      port,
      root: resolve(root),
      readOnly,
      takesPushes: refusal === undefined,
    },
    `serving ${resolve(root)} at ${url}\n`,
  )
  if (!context.signal.aborted) await once(context.signal, 'abort')
  context.output.note('finishing')
  await server.close({ graceMs })
}

function log({ output }: CommandContext, entry: LogEntry): void {
  if (output.mode.quiet && entry.level === 'info') return
  output.log(formatLogEntry(entry))
}
