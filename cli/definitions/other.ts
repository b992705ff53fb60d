import { Argument, type Command } from 'commander'
import { InvalidArgumentError } from '../../lib/errors.js'
import type { Shell } from '../commands/completion.js'
import type { Start } from '../context.js'
import { examples } from '../help.js'

function findCommand(program: Command, words: readonly string[]): Command {
  return words.reduce((command, word) => {
    const found = command.commands.find(child => child.name() === word)
    if (found !== undefined) return found
    throw new InvalidArgumentError(`unknown command '${words.join(' ')}'`, {
      found: word,
    })
  }, program)
}

/** Defines the commands that help to use the others. */
export function defineOtherCommands(program: Command, start: Start): void {
  program
    .command('quickstart')
    .summary('show the main job on a real folder')
    .description(
      'Does the main job in a temporary place: stores a folder, serves it, pushes it to ' +
        'another repository, pulls it into a third, checks it out, and proves that the ' +
        'copy is identical. Prints every command that it runs. Exit code 1 if it is not.',
    )
    .argument('[path]', 'folder to take; by default a system folder of some tens of MB')
    .addHelpText('after', examples('cairn quickstart', 'cairn quickstart /usr/share/doc'))
    .action((path: string | undefined) =>
      start(async context => {
        const { quickstart } = await import('../commands/quickstart.js')
        await quickstart(context, path)
      }),
    )

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
    .command('help')
    .summary('print the help of a command')
    .description('Prints the help of a command, or which commands there are.')
    .argument('[command...]', 'words of the command')
    .addHelpText('after', examples('cairn help store', 'cairn help tag set'))
    .action((words: string[]) => findCommand(program, words).outputHelp())

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
