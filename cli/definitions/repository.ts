import { type Command, Option } from 'commander'
import { algorithms } from '../../lib/object/algorithm.js'
import { collect } from '../collect.js'
import type { FsckFlags } from '../commands/fsck.js'
import type { InitFlags } from '../commands/init.js'
import type { RepairFlags } from '../commands/repair.js'
import type { Start } from '../context.js'
import { examples } from '../help.js'

/** Defines the commands about a repository as a whole. */
export function defineRepositoryCommands(program: Command, start: Start): void {
  program
    .command('init')
    .summary('make an empty repository')
    .description(
      'Makes an empty repository in the folder that --repo or CAIRN_REPO names.',
    )
    .addOption(
      new Option('--algorithm <name>', 'digest algorithm of what is stored here')
        .choices(algorithms.map(({ name }) => name))
        .default('blake3'),
    )
    .addOption(
      new Option('--layout <name>', 'how objects are kept')
        .choices(['loose', 'pack'])
        .default('pack'),
    )
    .option(
      '--compression <how>',
      'none, or zstd with a level from 1 to 19: zstd:6',
      'none',
    )
    .addHelpText(
      'after',
      examples(
        'cairn init',
        'cairn init --repo /srv/store --compression zstd',
        'cairn init --repo /srv/v1 --algorithm sha512-256   # for version 1 peers',
      ),
    )
    .action((flags: InitFlags) =>
      start(async context => {
        const { init } = await import('../commands/init.js')
        await init(context, flags)
      }),
    )

  program
    .command('fsck')
    .summary('verify tags, objects and what they refer to')
    .description(
      'Verifies the repository: its structure, its tags, that every object has its digest, ' +
        'and that all it refers to is there. With REFs, only what they reach. --quick ' +
        'reads directories and applications alone, of files only what the index says. ' +
        'Exit code 5 when there are problems.',
    )
    .argument('[ref...]', 'verify only these')
    .option('--quick', 'structure, index and directories; no contents')
    .option('--rebuild-index', 'make the index of the packs anew, then stop')
    .addHelpText(
      'after',
      examples('cairn fsck', 'cairn fsck --quick', 'cairn fsck app', 'cairn fsck --json'),
    )
    .action((refs: string[], flags: FsckFlags) =>
      start(async context => {
        const { fsck } = await import('../commands/fsck.js')
        await fsck(context, refs, flags)
      }),
    )

  program
    .command('repair')
    .summary('put aside what is bad, and fetch it again')
    .description(
      'Verifies the repository, puts bad objects and files aside into quarantine/, makes ' +
        'indexes and logs anew, and takes what is missing from the sources that are named. ' +
        'Others may go on using it. Exit code 5 when something could not be healed.',
    )
    .option(
      '--from <source>',
      "a remote's name or URL, or the path of a repository; may be repeated",
      collect,
    )
    .option('--from-tree <folder>', 'a folder that was stored; may be repeated', collect)
    .addHelpText(
      'after',
      examples(
        'cairn repair',
        'cairn repair --from origin',
        'cairn repair --from /mnt/backup/store',
        'cairn repair --from-tree /srv/app',
      ),
    )
    .action((flags: RepairFlags) =>
      start(async context => {
        const { repair } = await import('../commands/repair.js')
        await repair(context, flags)
      }),
    )
}
