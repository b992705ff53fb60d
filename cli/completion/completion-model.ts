import type { Argument, Command, Option } from 'commander'

/** What may stand in a place of a command line. */
export type Candidates =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  /** Asked of the program when needed, or of the shell. */
  | { readonly kind: 'tags' | 'remotes' | 'files' | 'tags-and-files' | 'nothing' }

/** An option as a shell sees it. */
export type CompletedOption = {
  /** `-t`, `--tag`. */
  readonly names: readonly string[]
  readonly description: string
  /** Undefined for an option without value. */
  readonly value: Candidates | undefined
}

/** A command as a shell sees it. */
export type CompletedCommand = {
  /** Words behind the program's name, joined by spaces; empty for the program itself. */
  readonly path: string
  readonly subcommands: readonly { readonly name: string; readonly description: string }[]
  readonly options: readonly CompletedOption[]
  readonly arguments: readonly Candidates[]
}

/**
 * Everything that can be completed, read off the definitions; hidden commands left out.
 *
 * The options of the first one, the program itself, may follow every command.
 */
export function describeCommands(program: Command): CompletedCommand[] {
  return describeCommand(program, '')
}

function describeCommand(command: Command, path: string): CompletedCommand[] {
  const children = command.createHelp().visibleCommands(command)
  return [
    {
      path,
      subcommands: children.map(child => ({
        name: child.name(),
        description: child.summary() || child.description(),
      })),
      options: command.options.filter(option => !option.hidden).map(describeOption),
      arguments: command.registeredArguments.map(candidatesOf),
    },
    ...children.flatMap(child =>
      describeCommand(child, `${path} ${child.name()}`.trim()),
    ),
  ]
}

function describeOption(option: Option): CompletedOption {
  const names = [option.short, option.long].filter(name => name !== undefined)
  const isFlag = !option.required && !option.optional
  const value = /<(.*)>/.exec(option.flags)?.[1] ?? ''
  return {
    names,
    description: option.description,
    value: isFlag ? undefined : (choices(option) ?? candidatesOfName(value)),
  }
}

function candidatesOf(argument: Argument): Candidates {
  return choices(argument) ?? candidatesOfName(argument.name())
}

function choices(place: Argument | Option): Candidates | undefined {
  return place.argChoices === undefined
    ? undefined
    : { kind: 'words', words: place.argChoices }
}

// The definitions name their arguments by one vocabulary; this is where it means something.
function candidatesOfName(name: string): Candidates {
  switch (name) {
    case 'ref|dir':
      return { kind: 'tags-and-files' }
    case 'remote':
      return { kind: 'remotes' }
    case 'path':
    case 'dir':
    case 'file':
      return { kind: 'files' }
    default:
      return { kind: /^(ref|tag)/.test(name) ? 'tags' : 'nothing' }
  }
}
