import { type Command, Option } from 'commander'
import type { GcFlags } from '../commands/gc.js'
import type { MigrateFlags } from '../commands/migrate.js'
import type { StatsFlags } from '../commands/stats.js'
import type { Start } from '../context.js'
import { examples } from '../help.js'

/** Defines the commands that look after what a repository holds. */
export function defineMaintenanceCommands(program: Command, start: Start): void {
  program
    .command('gc')
    .summary('remove what no tag, log or mount leads to')
    .description(
      'Removes objects that nothing leads to: no tag, no log entry of the last 30 days or ' +
        'among the last 10 of its tag, no mount. Objects in packs wait a day in the trash. ' +
        'Stores, pushes and pulls go on meanwhile.',
    )
    .option('--dry-run', 'only tell what would be removed')
    .option('--now', 'empty the trash, and let nothing wait there')
    .option('--undo', 'bring back what is in the trash')
    .option('--grace <hours>', 'how long garbage waits in the trash (default: 24)')
    .option('--window <days>', 'age of log entries that still count (default: 30)')
    .option('--wait <seconds>', 'for locks and earlier sessions (default: 60)')
    .option('--why <what>', 'name every root that keeps a digest, REF or REF:PATH')
    .option('--what-if-removed <tag>', 'tell what removing a tag and its log would free')
    .addHelpText(
      'after',
      examples(
        'cairn gc --dry-run',
        'cairn gc --now',
        'cairn gc --why app:etc/passwd',
        'cairn gc --what-if-removed app',
      ),
    )
    .action((flags: GcFlags) =>
      start(async context => {
        const { gc } = await import('../commands/gc.js')
        await gc(context, flags)
      }),
    )

  program
    .command('migrate')
    .summary('bring the repository into another layout')
    .description(
      'Brings the repository into another layout: tags, logs and digests stay. All objects ' +
        'are copied and verified before the new ones take the place of the old, so both ' +
        'have to fit. Readers and sessions go on, but for a moment at the end. Broken off ' +
        'anywhere, the repository is whole: repeat the command.',
    )
    .addOption(
      new Option('--layout <name>', 'how objects are kept from now on')
        .choices(['loose', 'pack'])
        .makeOptionMandatory(),
    )
    .option(
      '--compression <how>',
      'none, or zstd with a level from 1 to 19: zstd:6 (packs only)',
    )
    .option('--wait <seconds>', 'for sessions and locks at the end (default: 60)')
    .addHelpText(
      'after',
      examples(
        'cairn migrate --layout pack --compression zstd',
        'cairn migrate --layout loose',
      ),
    )
    .action((flags: MigrateFlags) =>
      start(async context => {
        const { migrate } = await import('../commands/migrate.js')
        await migrate(context, flags)
      }),
    )

  program
    .command('stats')
    .summary('count what the repository holds')
    .description(
      'Counts objects and bytes by type, what is in use and what is garbage, what keeping ' +
        'same content once and compression save, and names the largest files.',
    )
    .option('--largest <count>', 'how many of the largest files to name', '10')
    .addHelpText('after', examples('cairn stats', 'cairn stats --largest 50 --json'))
    .action((flags: StatsFlags) =>
      start(async context => {
        const { stats } = await import('../commands/stats.js')
        await stats(context, flags)
      }),
    )

  program
    .command('du')
    .summary('tell what trees take in the repository')
    .description(
      'Tells of each REF what its tree is, what it takes in the repository alone, and what ' +
        'it shares with other tags and the other REFs. Without REFs: of all tags. Former ' +
        'values of tags do not count; what removing a tag frees is told by: ' +
        'cairn gc --what-if-removed TAG',
    )
    .argument('[ref...]', 'trees to look at')
    .addHelpText('after', examples('cairn du', "cairn du app 'app@{1}'"))
    .action((refs: string[]) =>
      start(async context => {
        const { du } = await import('../commands/du.js')
        await du(context, refs)
      }),
    )
}
