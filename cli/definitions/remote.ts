import type { Command } from 'commander'
import type { Start } from '../context.js'
import { examples } from '../help.js'

/** Defines the commands that speak with other machines. */
export function defineRemoteCommands(program: Command, start: Start): void {
  defineRemote(program, start)
}

function defineRemote(program: Command, start: Start): void {
  const remote = program
    .command('remote')
    .summary('name other repositories, look at their tags')
    .description('Remotes are names for the URLs of other repositories.')
    .addHelpText(
      'after',
      examples(
        'cairn remote add origin https://host.example/team/app',
        'cairn remote list',
      ),
    )

  remote
    .command('add')
    .summary('name a URL')
    .description('Names the URL of another repository.')
    .argument('<name>', 'the new name')
    .argument('<url>', 'http: or https: URL')
    .addHelpText(
      'after',
      examples('cairn remote add origin https://host.example/team/app'),
    )
    .action((name: string, url: string) =>
      start(async context => {
        const { remoteAdd } = await import('../commands/remote-add.js')
        await remoteAdd(context, name, url)
      }),
    )

  remote
    .command('list')
    .summary('list the remotes')
    .description('Lists the remotes with their URLs.')
    .addHelpText('after', examples('cairn remote list'))
    .action(() =>
      start(async context => {
        const { remoteList } = await import('../commands/remote-list.js')
        await remoteList(context)
      }),
    )

  remote
    .command('remove')
    .summary('forget a remote')
    .description('Forgets the name of a remote.')
    .argument('<remote>', 'name to forget')
    .addHelpText('after', examples('cairn remote remove origin'))
    .action((name: string) =>
      start(async context => {
        const { remoteRemove } = await import('../commands/remote-remove.js')
        await remoteRemove(context, name)
      }),
    )
}
