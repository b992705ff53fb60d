import { quoteForShell } from '../shell-word.js'
import type { Candidates, CompletedCommand } from './completion-model.js'

/**
 * The functions that bash and zsh share: what may follow, per command.
 *
 * `_cairn_commands PATH`, `_cairn_options PATH` print `name<TAB>description` lines;
 * `_cairn_value PATH OPTION`, `_cairn_argument PATH N` print what may stand there.
 */
export function shellLookups(commands: readonly CompletedCommand[]): string {
  return [
    lookup(
      '_cairn_commands',
      commands.map(({ path, subcommands }) => ({
        when: [path],
        lines: subcommands.map(({ name, description }) => `${name}\t${description}`),
      })),
    ),
    lookup(
      '_cairn_options',
      commands.map(({ path, options }) => ({
        when: [path],
        lines: options.flatMap(({ names, description }) =>
          names.map(name => `${name}\t${description}`),
        ),
      })),
    ),
    lookup(
      '_cairn_value',
      commands.flatMap(({ path, options }) =>
        options.flatMap(({ names, value }) =>
          value === undefined
            ? []
            : [{ when: names.map(name => `${path} ${name}`), lines: words(value) }],
        ),
      ),
    ),
    lookup(
      '_cairn_argument',
      commands.flatMap(({ path, arguments: places }) =>
        places.map((place, index) => ({
          when: [`${path} ${index}`],
          lines: words(place),
        })),
      ),
    ),
  ].join('\n')
}

type Case = { readonly when: readonly string[]; readonly lines: readonly string[] }

function lookup(name: string, cases: readonly Case[]): string {
  const branches = cases
    .filter(({ lines }) => lines.length > 0)
    .map(({ when, lines }) => {
      const patterns = when.map(quoteForShell).join(' | ')
      return `    ${patterns}) printf '%s\\n' ${lines.map(quoteForShell).join(' ')} ;;`
    })
  return `${name}() {\n  case "$*" in\n${branches.join('\n')}\n    *) return 1 ;;\n  esac\n}\n`
}

function words(candidates: Candidates): string[] {
  return candidates.kind === 'words' ? ['words', ...candidates.words] : [candidates.kind]
}
