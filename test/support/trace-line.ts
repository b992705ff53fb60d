/** One system call as strace(1) with -f -xx shows it. */
export type TracedCall = {
  readonly thread: number
  readonly name: string
  /** As text; see stringArgument, pathArgument. */
  readonly args: readonly string[]
  /** -1 where it failed. */
  readonly result: number
  /** Why it failed: EIO and the like. */
  readonly failure: string | undefined
  /** Whether strace made it fail. */
  readonly injected: boolean
  /** Which call of its name in its thread it is, from 1: what strace's `when` counts. */
  readonly ordinal: number
  /** How many calls had ended when it began. */
  readonly began: number
}

const whole = /^(\d+) +(\w+)\((.*)\)\s+= (-?\d+|0x[0-9a-f]+|\?)(?: (E\w+))?(.*)$/s
const begun = /^(\d+) +(\w+)\((.*?)(?:, )?\s*<unfinished \.\.\.>$/s
const resumed =
  /^(\d+) +<\.\.\. (\w+) resumed>(.*)\)\s+= (-?\d+|0x[0-9a-f]+|\?)(?: (E\w+))?(.*)$/s

/** Reads a log of strace, calls in the order in which they ended. */
export function parseTrace(log: string): TracedCall[] {
  const calls: TracedCall[] = []
  const open = new Map<string, { args: string; began: number; ordinal: number }>()
  const counts = new Map<string, number>()
  const count = (thread: string, name: string): number => {
    const next = (counts.get(`${thread} ${name}`) ?? 0) + 1
    counts.set(`${thread} ${name}`, next)
    return next
  }
  const end = (
    [thread = '', name = '', , result = '', failure, rest = '']: readonly string[],
    { args, began, ordinal }: { args: string; began: number; ordinal: number },
  ): void => {
    // What never returned, for the process was killed, did nothing that we know of.
    if (result === '?') return
    calls.push({
      thread: Number(thread),
      name,
      args: splitArguments(args),
      result: Number(result),
      failure,
      injected: rest.includes('(INJECTED)'),
      ordinal,
      began,
    })
  }
  for (const line of log.split('\n')) {
    const one = whole.exec(line)
    if (one !== null) {
      const [, thread = '', name = '', args = ''] = one
      end(one.slice(1), { args, began: calls.length, ordinal: count(thread, name) })
      continue
    }
    const beginning = begun.exec(line)
    if (beginning !== null) {
      const [, thread = '', name = '', args = ''] = beginning
      const ordinal = count(thread, name)
      const start = { args, began: calls.length, ordinal }
      // Its descriptor may be another file's before it returns.
      if (name === 'close') end([thread, name, '', '0'], start)
      else open.set(thread, start)
      continue
    }
    const [, thread = '', name = '', args = '', ...rest] = resumed.exec(line) ?? []
    const start = open.get(thread)
    if (start === undefined) continue
    open.delete(thread)
    const joined = [start.args, args.replace(/^, /, '')].filter(part => part !== '')
    end([thread, name, '', ...rest], { ...start, args: joined.join(', ') })
  }
  return calls
}

/** Decodes an argument that is a string in hex. */
export function stringArgument(argument: string | undefined): Buffer {
  const hex = /^"((?:\\x[0-9a-f]{2})*)"$/.exec(argument ?? '')?.[1]
  if (hex === undefined) throw new Error(`no whole string: ${argument?.slice(0, 80)}`)
  return Buffer.from(hex.replaceAll(String.raw`\x`, ''), 'hex')
}

/** Decodes an argument that is a path. */
export function pathArgument(argument: string | undefined): string {
  return stringArgument(argument).toString()
}

/** Decodes the bytes of an argument of writev and the like. */
export function vectorArgument(argument: string | undefined): Buffer {
  const parts = (argument ?? '').matchAll(/iov_base=("[^"]*")/g)
  return Buffer.concat(Array.from(parts, ([, part]) => stringArgument(part)))
}

// Strings are in hex, so that only brackets hide commas.
function splitArguments(text: string): string[] {
  const parts: string[] = []
  let depth = 0
  let from = 0
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '[' || character === '{' || character === '(') depth++
    else if (character === ']' || character === '}' || character === ')') depth--
    else if (character === ',' && depth === 0) {
      parts.push(text.slice(from, at).trim())
      from = at + 1
    }
  }
  if (from < text.length) parts.push(text.slice(from).trim())
  return parts
}
