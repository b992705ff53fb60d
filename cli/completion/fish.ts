import type { Candidates, CompletedCommand, CompletedOption } from './completion-model.js'

/** A completion script for fish 3 and later. */
export function fishCompletion(commands: readonly CompletedCommand[]): string {
  const paths = commands.map(({ path }) => path).filter(path => path !== '')
  const valued = commands.flatMap(({ path, options }) =>
    options
      .filter(option => option.value !== undefined)
      .flatMap(option => option.names.map(name => `${path} ${name}`)),
  )
  return `# fish completion for cairn, printed by: cairn completion fish

set -g __cairn_commands ${paths.map(quoteForFish).join(' ')}
set -g __cairn_valued ${valued.map(quoteForFish).join(' ')}

${functions}
complete -c cairn -f
${commands.flatMap(describeCommand).join('\n')}
`
}

const functions = `# Prints the command so far and the number of arguments behind it: "tag set/1".
function __cairn_state
    set -l words (commandline -opc)
    set -e words[1]
    set -l path ''
    set -l place 0
    set -l skip 0
    for word in $words
        if test $skip = 1
            set skip 0
        else if string match -q -- '-*' $word
            if contains -- "$path $word" $__cairn_valued; or contains -- " $word" $__cairn_valued
                set skip 1
            end
        else if test $place = 0; and contains -- (string trim -- "$path $word") $__cairn_commands
            set path (string trim -- "$path $word")
        else
            set place (math $place + 1)
        end
    end
    echo "$path/$place"
end

function __cairn_in
    string match -q -- "$argv[1]/*" (__cairn_state)
end

function __cairn_at
    test "$argv[1]" = (__cairn_state)
end

# Prints the tags or remotes of the repository that the command line names.
function __cairn_names
    set -l words (commandline -opc)
    set -l repo
    if set -l at (contains -i -- --repo $words); and test $at -lt (count $words)
        set repo --repo $words[(math $at + 1)]
    end
    cairn $repo __complete $argv[1] 2>/dev/null
end
`

function describeCommand(command: CompletedCommand): string[] {
  const { path, subcommands, options, arguments: places } = command
  return [
    ...subcommands.map(
      ({ name, description }) =>
        `complete -c cairn -n ${condition('at', `${path}/0`)} -a ${quoteForFish(name)} ` +
        `-d ${quoteForFish(description)}`,
    ),
    ...options.map(option => describeOption(path, option)),
    ...places.flatMap((place, index) => {
      const candidates = candidateFlags(place)
      return candidates === undefined
        ? []
        : [`complete -c cairn -n ${condition('at', `${path}/${index}`)} ${candidates}`]
    }),
  ]
}

function describeOption(path: string, option: CompletedOption): string {
  const names = option.names.map(name =>
    name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
  )
  const value =
    option.value === undefined ? '' : ` -r ${candidateFlags(option.value) ?? ''}`
  return (
    `complete -c cairn${path === '' ? '' : ` -n ${condition('in', path)}`} ${names.join(' ')}` +
    `${value.trimEnd()} -d ${quoteForFish(option.description)}`
  )
}

function candidateFlags(candidates: Candidates): string | undefined {
  switch (candidates.kind) {
    case 'words':
      return `-a ${quoteForFish(candidates.words.join(' '))}`
    case 'tags':
    case 'remotes':
      return `-a '(__cairn_names ${candidates.kind})'`
    case 'files':
      return '-F'
    case 'tags-and-files':
      return `-F -a '(__cairn_names tags)'`
    case 'nothing':
      return undefined
    default:
      return candidates satisfies never
  }
}

function condition(name: 'at' | 'in', argument: string): string {
  return quoteForFish(`__cairn_${name} ${quoteForFish(argument)}`)
}

function quoteForFish(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
