import { type Command, Option } from 'commander'
import type { LoginFlags } from '../commands/login.js'
import type { ServeFlags } from '../commands/serve.js'
import type { TokenCreateFlags } from '../commands/token-create.js'
import type { TransferFlags } from '../commands/transfer.js'
import type { Start } from '../context.js'
import { examples } from '../help.js'
import type { TokenFlags } from '../token-document.js'

/** Defines the commands that speak with other machines. */
export function defineRemoteCommands(program: Command, start: Start): void {
  defineRemote(program, start)
  defineTransfers(program, start)
  defineServe(program, start)
  defineLogin(program, start)
  defineToken(program, start)
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
    .option('--config <file>', 'settings, which flags go before; read again on SIGHUP')
    .option(
      '--listen <host:port>',
      'where to listen; port 0 takes a free one (default: 127.0.0.1:8080)',
    )
    .option('--read-only', 'refuse pushes')
    .option('--create', 'a push may make a new repository below --root')
    .option(
      '--allow-anonymous-push',
      'accept pushes on an address that other machines reach',
    )
    .option('--tokens <file>', 'let in who has a token (see: cairn token)')
    .option('--tls-cert <file>', 'serve https with this certificate, PEM')
    .option('--tls-key <file>', 'its key')
    .option('--tls-client-ca <file>', 'signs certificates of clients')
    .option('--audit-log <file>', 'append who did what')
    .option('--metrics-listen <host:port>', 'serve the metrics there, to everyone')
    .addHelpText(
      'after',
      examples(
        'cairn serve --repo /srv/store',
        'cairn serve --root /srv/stores --listen 127.0.0.1:0 --create',
        'cairn serve --root /srv/stores --listen [::]:8080 --read-only',
        'cairn serve --root /srv/stores --tokens /etc/cairn/tokens.json',
        'cairn serve --config /etc/cairn/server.yaml',
      ),
    )
    .action((flags: ServeFlags) =>
      start(async context => {
        const { serve } = await import('../commands/serve.js')
        await serve(context, flags)
      }),
    )
}

function defineLogin(program: Command, start: Start): void {
  program
    .command('login')
    .summary('keep a token or password for a server')
    .description(
      'Reads a token, or with --user a password, from standard input, and shows it from ' +
        'now on to the server at that address, and to no other.',
    )
    .argument('<url>', 'http: or https: URL, of a server or a repository')
    .option('--user <name>', 'log in by name and password')
    .addHelpText(
      'after',
      examples(
        'cairn login https://host.example < token',
        'cairn login https://host.example/team --user alice',
      ),
    )
    .action((url: string, flags: LoginFlags) =>
      start(async context => {
        const { login } = await import('../commands/login.js')
        await login(context, url, flags)
      }),
    )

  program
    .command('logout')
    .summary('forget the token or password for a server')
    .description('Forgets what cairn login kept for an address.')
    .argument('<url>', 'as it was given to login')
    .addHelpText('after', examples('cairn logout https://host.example'))
    .action((url: string) =>
      start(async context => {
        const { logout } = await import('../commands/logout.js')
        await logout(context, url)
      }),
    )
}

function defineToken(program: Command, start: Start): void {
  const token = program
    .command('token')
    .helpCommand(false)
    .summary('make, list and revoke tokens of a server')
    .description('Tokens let programs and people in where cairn serve --tokens runs.')
    .addHelpText('after', examples('cairn token list --tokens /etc/cairn/tokens.json'))
  const tokensOption = ['--tokens <file>', "the server's file of tokens"] as const
  const auditOption = ['--audit-log <file>', 'append what was done'] as const

  token
    .command('create')
    .summary('make a token, and print it once')
    .description('Makes a token. It is printed once; the file has only its hash.')
    .requiredOption(...tokensOption)
    .requiredOption('--name <name>', 'to tell it from others, in logs too')
    .requiredOption('--allow <actions>', 'pull, push, tag-move, tag-delete, admin')
    .option('--repositories <patterns>', 'paths where it counts', '**')
    .option('--expires <days>', 'how long it counts (default: until it is revoked)')
    .option(...auditOption)
    .addHelpText(
      'after',
      examples(
        'cairn token create --tokens tokens.json --name ci --allow pull,push',
        "cairn token create --tokens tokens.json --name team --allow pull --repositories 'team/**' --expires 90",
      ),
    )
    .action((flags: TokenCreateFlags) =>
      start(async context => {
        const { tokenCreate } = await import('../commands/token-create.js')
        await tokenCreate(context, flags)
      }),
    )

  token
    .command('list')
    .summary('list the tokens')
    .description('Lists all tokens, also those that count no more.')
    .requiredOption(...tokensOption)
    .addHelpText('after', examples('cairn token list --tokens tokens.json'))
    .action((flags: TokenFlags) =>
      start(async context => {
        const { tokenList } = await import('../commands/token-list.js')
        await tokenList(context, flags)
      }),
    )

  token
    .command('revoke')
    .summary('end a token')
    .description('Ends a token: it counts for no request that comes after that.')
    .argument('<id>', 'id or name of the token')
    .requiredOption(...tokensOption)
    .option(...auditOption)
    .addHelpText('after', examples('cairn token revoke ci --tokens tokens.json'))
    .action((id: string, flags: TokenFlags) =>
      start(async context => {
        const { tokenRevoke } = await import('../commands/token-revoke.js')
        await tokenRevoke(context, id, flags)
      }),
    )
}

function protocolOption(): Option {
  return new Option(
    '--protocol <version>',
    'transfer protocol (default: the best that both sides speak)',
  ).choices(['1'])
}
