import type { Command } from 'commander'
import { collect } from '../collect.js'
import type { TarExportFlags } from '../commands/tar-export.js'
import type { TarImportFlags } from '../commands/tar-import.js'
import type { Start } from '../context.js'
import { examples } from '../help.js'

/** Defines `cairn tar …`. */
export function defineTarCommands(program: Command, start: Start): void {
  const tar = program
    .command('tar')
    .helpCommand(false)
    .summary('write trees as tar archives, and read them')
    .description('Tar archives go out of the repository, and into it, without a folder.')
    .addHelpText('after', examples('cairn tar export app | ssh host tar -xf -'))

  tar
    .command('export')
    .summary('write a stored tree as a tar archive')
    .description(
      'Writes a stored tree, or the part of it at PATH, as a tar archive (PAX) to standard ' +
        'output or a file. The same tree gives the same bytes. Without stored modification ' +
        'times all are 0. Sockets are left out.',
    )
    .argument('<ref[:path]>', 'what to write')
    .option('-o, --output <file>', 'write to this file instead of standard output')
    .option('--touch <seconds>', 'one modification time for everything')
    .addHelpText(
      'after',
      examples(
        'cairn tar export app -o app.tar',
        'cairn tar export app:etc | tar -tvf -',
        'cairn tar export app | zstd > app.tar.zst',
      ),
    )
    .action((ref: string, flags: TarExportFlags) =>
      start(async context => {
        const { tarExport } = await import('../commands/tar-export.js')
        await tarExport(context, ref, flags)
      }),
    )

  tar
    .command('import')
    .summary('store what a tar archive holds, print its digest')
    .description(
      'Stores what a tar archive holds as an application; prints its digest, which is that ' +
        'of the extracted folder stored with --mtime. gzip and zstd are known by their first ' +
        'bytes. An archive that is damaged, cut off, or would lead out of its tree is refused.',
    )
    .argument('<file>', 'archive to read, "-" for standard input')
    .requiredOption('-t, --tag <tag>', 'set this tag to it')
    .option('--no-mtime', 'leave modification times out')
    .option('--label <name=value>', 'say this of it; may be repeated', collect)
    .option('--config <file>', 'JSON: command, environment, workingFolder, user, labels')
    .option('--max-bytes <bytes>', 'refuse an archive that unpacks to more')
    .option('--max-entries <count>', 'refuse an archive with more entries')
    .addHelpText(
      'after',
      examples(
        'cairn tar import rootfs.tar.gz -t system',
        'tar -c --xattrs -C /srv/app . | cairn tar import - -t app',
      ),
    )
    .action((file: string, flags: TarImportFlags) =>
      start(async context => {
        const { tarImport } = await import('../commands/tar-import.js')
        await tarImport(context, file, flags)
      }),
    )
}
