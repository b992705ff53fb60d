import type { Command } from 'commander'
import {
  type CompletedCommand,
  describeCommands,
} from '../completion/completion-model.js'
import type { CommandContext } from '../context.js'

export type Shell = 'bash' | 'zsh' | 'fish'

/** `cairn completion SHELL` */
export async function completion(
  context: CommandContext,
  program: Command,
  shell: Shell,
): Promise<void> {
  const print = await loadPrinter(shell)
  const script = print(describeCommands(program))
  await context.output.result({ shell, script }, script)
}

async function loadPrinter(
  shell: Shell,
): Promise<(commands: readonly CompletedCommand[]) => string> {
  switch (shell) {
    case 'bash':
      return (await import('../completion/bash.js')).bashCompletion
    case 'zsh':
      return (await import('../completion/zsh.js')).zshCompletion
    case 'fish':
      return (await import('../completion/fish.js')).fishCompletion
    default:
      return shell satisfies never
  }
}
