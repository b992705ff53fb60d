import { type Command, Option } from 'commander'
import type { ServeFlags } from '../commands/serve.js'
import type { TransferFlags } from '../commands/transfer.js'
import type { Start } from '../context.js'
import { examples } from '../help.js'

/** Defines the commands that speak with other machines. */
export function defineRemoteCommands(program: Command, start: Start): void {
  defineRemote(program, start)
  defineTransfers(program, start)
  defineServe(program, start)
}

function defineRemote(program: Command, start: Start): void {
  const remote = program
    .command('remote')
    .helpCommand(false)
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

  remote
    .command('tags')
    .summary('list the tags of a remote')
    .description('Lists the tags of a remote repository.')
    .argument('<remote>', 'name or URL')
    .addHelpText(
      'after',
      examples('cairn remote tags origin', 'cairn remote tags http://127.0.0.1:8080/app'),
    )
    .action((name: string) =>
      start(async context => {
        const { remoteTags } = await import('../commands/remote-tags.js')
        await remoteTags(context, name)
      }),
    )
}

function defineTransfers(program: Command, start: Start): void {
  program
    .command('push')
    .summary('send a tag with its tree to a remote')
    .description('Sends what a tag names to a remote, and sets the tag there.')
    .argument('<remote>', 'name or URL')
    .argument('<tag>', 'tag to send')
    .option('--as <tag>', 'name of the tag there')
    .addOption(protocolOption())
    .addHelpText(
      'after',
      examples(
        'cairn push origin app',
        'cairn push http://127.0.0.1:8080 app --as app-2',
      ),
    )
    .action((remote: string, tag: string, flags: TransferFlags) =>
      start(async context => {
        const { push } = await import('../commands/push.js')
        await push(context, { remote, tag }, flags)
      }),
    )

  program
    .command('pull')
    .summary('fetch a tag with its tree from a remote')
    .description('Fetches what a tag of a remote names, and sets the tag here.')
    .argument('<remote>', 'name or URL')
    .argument('<tag>', 'tag to fetch')
    .option('--as <tag>', 'name of the tag here')
    .addOption(protocolOption())
    .addHelpText(
      'after',
      examples(
        'cairn pull origin app',
        'cairn pull http://127.0.0.1:8080 app --as theirs',
      ),
    )
    .action((remote: string, tag: string, flags: TransferFlags) =>
      start(async context => {
        const { pull } = await import('../commands/pull.js')
        await pull(context, { remote, tag }, flags)
      }),
    )
}

function defineServe(program: Command, start: Start): void {
  program
    .command('serve')
    .summary('serve repositories over HTTP')
    .description(
      'Serves one repository, or all below a folder, each at its own path. Prints one line ' +
        'with its address when it listens. SIGTERM and SIGINT let transfers in flight ' +
        'finish. Log lines go to standard error.',
    )
    .option('--root <dir>', 'serve the repositories below this folder')
    .option(
      '--listen <host:port>',
      'where to listen; port 0 takes a free one',
      '127.0.0.1:8080',
    )
    .option('--read-only', 'refuse pushes')
    .option('--create', 'a push may make a new repository below --root')
    .option(
      '--allow-anonymous-push',
      'accept pushes on an address that other machines reach',
    )
    .addHelpText(
      'after',
      examples(
        'cairn serve --repo /srv/store',
        'cairn serve --root /srv/stores --listen 127.0.0.1:0 --create',
        'cairn serve --root /srv/stores --listen [::]:8080 --read-only',
      ),
    )
    .action((flags: ServeFlags) =>
      start(async context => {
        const { serve } = await import('../commands/serve.js')
        await serve(context, flags)
      }),
    )
}

function protocolOption(): Option {
  return new Option('--protocol <version>', 'transfer protocol')
    .choices(['1'])
    .default('1')
}
