import { Argument, type Command } from 'commander'
import type { Shell } from '../commands/completion.js'
import type { Start } from '../context.js'
import { examples } from '../help.js'

/** Defines the commands that help to use the others. */
export function defineOtherCommands(program: Command, start: Start): void {
  program
    .command('completion')
    .summary('print a completion script for a shell')
    .description(
      'Prints a script that makes a shell complete commands, options, tags and remotes.',
    )
    .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText(
      'after',
      examples(
        'cairn completion bash > ~/.local/share/bash-completion/completions/cairn',
        'cairn completion zsh > ~/.zfunc/_cairn',
        'cairn completion fish > ~/.config/fish/completions/cairn.fish',
      ),
    )
    .action((shell: Shell) =>
      start(async context => {
        const { completion } = await import('../commands/completion.js')
        await completion(context, program, shell)
      }),
    )

  program
    .command('__complete', { hidden: true })
    .addArgument(new Argument('<what>').choices(['tags', 'remotes']))
    .action((what: 'tags' | 'remotes') =>
      start(async context => {
        const { complete } = await import('../commands/complete.js')
        await complete(context, what)
      }),
    )
}
