import type { Command } from 'commander'
import type { BundleImportFlags } from '../commands/bundle-import.js'
import type { Start } from '../context.js'
import { examples } from '../help.js'

/** Defines the commands that carry trees in a file. */
export function defineBundleCommands(program: Command, start: Start): void {
  const bundle = program
    .command('bundle')
    .helpCommand(false)
    .summary('carry trees in a file, for a machine without a connection')
    .description('Bundles are files that hold applications and all that they refer to.')
    .addHelpText(
      'after',
      examples(
        'cairn bundle create app.bundle app',
        'cairn bundle import app.bundle --tags',
      ),
    )

  bundle
    .command('create')
    .summary('write applications into a file')
    .description(
      'Writes applications and all that they refer to into a file, each object verified. ' +
        'It appears when it is whole. REFs that are tags take their names along.',
    )
    .argument('<file>', 'the new file; - is standard output')
    .argument('<ref...>', 'what to put in')
    .addHelpText(
      'after',
      examples(
        'cairn bundle create app.bundle app app@{1}',
        'cairn bundle create - app | ssh host cairn bundle import - --tags',
      ),
    )
    .action((file: string, refs: string[]) =>
      start(async context => {
        const { bundleCreate } = await import('../commands/bundle-create.js')
        await bundleCreate(context, file, refs)
      }),
    )

  bundle
    .command('import')
    .summary('add what a file holds')
    .description(
      'Adds what a bundle holds, verified, and prints the digests of its applications. ' +
        'Nothing of it stays if anything is missing or wrong. Sets no tag unless told; ' +
        'what no tag names is removed by the next collection.',
    )
    .argument('<file>', 'a bundle; - is standard input')
    .option('--tags', 'set the tags that it names')
    .option('--tag-prefix <prefix>', 'set them with this in front')
    .addHelpText(
      'after',
      examples(
        'cairn bundle import app.bundle --tags',
        'cairn bundle import app.bundle --tag-prefix theirs-',
      ),
    )
    .action((file: string, flags: BundleImportFlags) =>
      start(async context => {
        const { bundleImport } = await import('../commands/bundle-import.js')
        await bundleImport(context, file, flags)
      }),
    )
}
