import { type Command, Option } from 'commander'
import type { GcFlags } from '../commands/gc.js'
import type { MigrateFlags } from '../commands/migrate.js'
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
}
