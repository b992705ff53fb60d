import { type Command, Option } from 'commander'
import { algorithms } from '../../lib/object/algorithm.js'
import { collect } from '../collect.js'
import type { CheckoutFlags } from '../commands/checkout.js'
import type { ListFlags } from '../commands/ls.js'
import type { RehashFlags } from '../commands/rehash.js'
import type { StoreFlags } from '../commands/store.js'
import type { Start } from '../context.js'
import { examples } from '../help.js'

/** Defines the commands about trees: in, out, and looking at them. */
export function defineTreeCommands(program: Command, start: Start): void {
  defineStore(program, start)
  defineCheckout(program, start)
  defineRehash(program, start)
  defineShow(program, start)
  defineLs(program, start)
  defineCat(program, start)
  defineDiff(program, start)
}

function defineStore(program: Command, start: Start): void {
  program
    .command('store')
    .summary('store a folder, print its digest')
    .description(
      'Stores a folder with all below it as an application; prints its digest.',
    )
    .argument('<path>', 'folder to store')
    .option('-t, --tag <tag>', 'set this tag to it')
    .option('--mtime', 'keep modification times (they change the digest)')
    .option('--v1', 'leave out all that version 1 does not know: its exact bytes')
    .option('--no-cache', 'read every file, also those that have not changed')
    .option('--label <name=value>', 'say this of it; may be repeated', collect)
    .option('--config <file>', 'JSON: command, environment, workingFolder, user, labels')
    .addHelpText(
      'after',
      examples(
        'cairn store /srv/app -t app',
        'cairn store . -t app --mtime --label version=1.2',
        'cairn store rootfs -t system --config run.json',
      ),
    )
    .action((path: string, flags: StoreFlags) =>
      start(async context => {
        const { store } = await import('../commands/store.js')
        await store(context, path, flags)
      }),
    )
}

function defineCheckout(program: Command, start: Start): void {
  program
    .command('checkout')
    .summary('write a stored tree into a folder')
    .description(
      'Writes a stored tree, or the part of it at PATH, into a new or empty folder. ' +
        'As an ordinary user it leaves out what only root may restore, and says so.',
    )
    .argument('<ref[:path]>', 'what to write')
    .argument('<dir>', 'folder to write into')
    .option('--force', 'merge into a folder that has entries, replacing those in the way')
    .option(
      '--map-owner <rule>',
      'owners: [u:|g:]FROM:TO[:COUNT], or "self": all yours; may be repeated',
      collect,
    )
    .option('--touch <seconds>', 'one modification time for everything')
    .option(
      '--update',
      'bring a folder that was checked out before to REF, touching only what differs',
    )
    .option('--fsync', 'make the result durable before the command ends')
    .option(
      '--no-verify',
      'do not read files that share their extents with the repository',
    )
    .addHelpText(
      'after',
      examples(
        'cairn checkout app /srv/copy',
        'cairn checkout app:etc/app /tmp/etc',
        'cairn checkout app /srv/copy --map-owner 0:100000:65536',
        'cairn checkout app /srv/copy --force --touch 0',
        'cairn checkout --update app /srv/copy',
      ),
    )
    .action((ref: string, dir: string, flags: CheckoutFlags) =>
      start(async context => {
        const { checkout } = await import('../commands/checkout.js')
        await checkout(context, { ref, dir }, flags)
      }),
    )
}

function defineRehash(program: Command, start: Start): void {
  program
    .command('rehash')
    .summary('store a tree again under another digest algorithm')
    .description(
      'Stores a tree again under another digest algorithm, for peers that know only that ' +
        'one. What it holds stays the same.',
    )
    .argument('<ref>', 'what to rehash')
    .addOption(
      new Option('--algorithm <name>', 'the new algorithm')
        .choices(algorithms.map(({ name }) => name))
        .makeOptionMandatory(),
    )
    .requiredOption('-t, --tag <tag>', 'set this tag to the new tree')
    .addHelpText('after', examples('cairn rehash app --algorithm sha512-256 -t app-v1'))
    .action((ref: string, flags: RehashFlags) =>
      start(async context => {
        const { rehash } = await import('../commands/rehash.js')
        await rehash(context, ref, flags)
      }),
    )
}

function defineShow(program: Command, start: Start): void {
  program
    .command('show')
    .summary('print what an object is')
    .description(
      'Prints an application (config, totals, hard links, times), a directory, a header ' +
        'or what is known of a file; with a PATH, an entry of a tree.',
    )
    .argument('<ref[:path]>', 'what to show')
    .addHelpText(
      'after',
      examples(
        'cairn show app',
        'cairn show app:etc/passwd',
        "cairn show 'app@{1}' --json",
      ),
    )
    .action((ref: string) =>
      start(async context => {
        const { show } = await import('../commands/show.js')
        await show(context, ref)
      }),
    )
}

function defineLs(program: Command, start: Start): void {
  program
    .command('ls')
    .summary('list a stored directory')
    .description('Lists a directory of a stored tree, or one entry.')
    .argument('<ref[:path]>', 'what to list')
    .option('-l, --long', 'mode, owner, size and link target too')
    .option('-R, --recursive', 'all below it too')
    .addHelpText(
      'after',
      examples('cairn ls app', 'cairn ls -l app:etc', 'cairn ls -R app'),
    )
    .action((ref: string, flags: ListFlags) =>
      start(async context => {
        const { ls } = await import('../commands/ls.js')
        await ls(context, ref, flags)
      }),
    )
}

function defineCat(program: Command, start: Start): void {
  program
    .command('cat')
    .summary('print the bytes of a stored file')
    .description('Prints the bytes of a regular file of a stored tree, verified.')
    .argument('<ref:path>', 'which file')
    .addHelpText('after', examples('cairn cat app:etc/hostname'))
    .action((ref: string) =>
      start(async context => {
        const { cat } = await import('../commands/cat.js')
        await cat(context, ref)
      }),
    )
}

function defineDiff(program: Command, start: Start): void {
  program
    .command('diff')
    .summary('compare two trees, or a tree and a folder')
    .description(
      'Compares two stored trees, or a stored tree and a folder: what is added (A), removed ' +
        '(D) and changed (M) on the way from the first to the second. A second argument ' +
        'with a "/" in it, "." or ".." is a folder; any other is a REF if there is one. ' +
        'Exit code 0 when they are the same, 1 when they differ.',
    )
    .argument('<ref>', 'the first tree')
    .argument('<ref|dir>', 'the second tree, or a folder')
    .addHelpText(
      'after',
      examples(
        "cairn diff 'app@{1}' app",
        'cairn diff app /srv/app',
        'cairn diff app ./app',
      ),
    )
    .action((ref: string, other: string) =>
      start(async context => {
        const { diff } = await import('../commands/diff.js')
        await diff(context, ref, other)
      }),
    )
}
