import { type Command, Option } from 'commander'
import type { LoadFlags } from '../commands/snapshot-load.js'
import type { MakeFlags } from '../commands/snapshot-make.js'
import type { SaveFlags } from '../commands/snapshot-save.js'
import type { SnapshotterFlags } from '../commands/snapshotter.js'
import type { Start } from '../context.js'
import { examples } from '../help.js'
import type { SnapshotFlags } from '../open-snapshotter.js'

/** Defines the commands for layered trees that are mounted. */
export function defineSnapshotCommands(program: Command, start: Start): void {
  defineSnapshot(program, start)
  defineSnapshotter(program, start)
}

function defineSnapshot(program: Command, start: Start): void {
  const snapshot = program
    .command('snapshot')
    .helpCommand(false)
    .summary('prepare, mount and commit layered trees')
    .description(
      'Snapshots are trees in layers: an active one is written to, a committed one never ' +
        'changes and can be the parent of others, a view only shows its parent.',
    )
    .addHelpText(
      'after',
      examples('cairn snapshot ls', 'cairn snapshot ls --socket /run/cairn.sock'),
    )
  defineLooking(snapshot, start)
  defineMaking(snapshot, start)
  defineMounting(snapshot, start)
  defineStoring(snapshot, start)
  defineRepair(snapshot, start)
}

function defineLooking(snapshot: Command, start: Start): void {
  withPlace(snapshot.command('ls'))
    .summary('list snapshots')
    .description(
      'Lists the snapshots that match one of the filters, all without. A filter is ' +
        "containerd's: FIELD==VALUE,… with kind, name, parent, labels.KEY and ==, !=, ~=.",
    )
    .argument('[filter...]', 'what to look for')
    .addHelpText(
      'after',
      examples('cairn snapshot ls', "cairn snapshot ls 'kind==active,parent==base'"),
    )
    .action((filters: string[], flags: SnapshotFlags) =>
      start(async context => {
        const { snapshotLs } = await import('../commands/snapshot-ls.js')
        await snapshotLs(context, filters, flags)
      }),
    )

  withPlace(snapshot.command('info'))
    .summary('say all of a snapshot')
    .description('Prints what is known of a snapshot.')
    .argument('<key>', 'the snapshot')
    .addHelpText('after', examples('cairn snapshot info base'))
    .action((key: string, flags: SnapshotFlags) =>
      start(async context => {
        const { snapshotInfo } = await import('../commands/snapshot-info.js')
        await snapshotInfo(context, key, flags)
      }),
    )

  withPlace(snapshot.command('tree'))
    .summary('show what stands on what')
    .description('Prints all snapshots, each indented below its parent.')
    .addHelpText('after', examples('cairn snapshot tree'))
    .action((flags: SnapshotFlags) =>
      start(async context => {
        const { snapshotTree } = await import('../commands/snapshot-tree.js')
        await snapshotTree(context, flags)
      }),
    )

  withPlace(snapshot.command('usage'))
    .summary('say what snapshots take on disk')
    .description(
      'Prints bytes and inodes of snapshots, all without a key, parents not counted.',
    )
    .argument('[key...]', 'the snapshots')
    .addHelpText('after', examples('cairn snapshot usage', 'cairn snapshot usage base'))
    .action((keys: string[], flags: SnapshotFlags) =>
      start(async context => {
        const { snapshotUsage } = await import('../commands/snapshot-usage.js')
        await snapshotUsage(context, keys, flags)
      }),
    )
}

function defineMaking(snapshot: Command, start: Start): void {
  for (const call of ['prepare', 'view'] as const) {
    withLabels(withPlace(snapshot.command(call), { makes: true }))
      .summary(
        call === 'prepare' ? 'make a snapshot to write to' : 'make a snapshot to look at',
      )
      .description(
        'Makes a snapshot on top of a committed one, and prints how to mount it.',
      )
      .argument('<key>', 'its key')
      .argument('[parent]', 'a committed snapshot; an empty tree without')
      .addHelpText('after', examples(`cairn snapshot ${call} work base`))
      .action((key: string, parent: string | undefined, flags: MakeFlags) =>
        start(async context => {
          const { snapshotMake } = await import('../commands/snapshot-make.js')
          await snapshotMake(context, call, { key, parent, ...flags })
        }),
      )
  }

  withLabels(withPlace(snapshot.command('commit')))
    .summary('keep a snapshot as it is')
    .description('Makes an active snapshot a committed one; its files are on disk then.')
    .argument('<name>', 'the new name')
    .argument('<key>', 'the active snapshot')
    .addHelpText('after', examples('cairn snapshot commit base work'))
    .action((name: string, key: string, flags: MakeFlags) =>
      start(async context => {
        const { snapshotCommit } = await import('../commands/snapshot-commit.js')
        await snapshotCommit(context, { name, key }, flags)
      }),
    )

  withPlace(snapshot.command('rm'))
    .summary('remove snapshots')
    .description("Removes snapshots that are nobody's parent, one after the other.")
    .argument('<key...>', 'the snapshots')
    .addHelpText('after', examples('cairn snapshot rm work'))
    .action((keys: string[], flags: SnapshotFlags) =>
      start(async context => {
        const { snapshotRm } = await import('../commands/snapshot-rm.js')
        await snapshotRm(context, keys, flags)
      }),
    )

  withPlace(snapshot.command('label'))
    .summary('change labels')
    .description('Sets labels of a snapshot, and takes away those without a value.')
    .argument('<key>', 'the snapshot')
    .argument('<label...>', 'KEY=VALUE, or KEY= to take one away')
    .addHelpText('after', examples('cairn snapshot label base team=web stage='))
    .action((key: string, texts: string[], flags: SnapshotFlags) =>
      start(async context => {
        const { snapshotLabel } = await import('../commands/snapshot-label.js')
        await snapshotLabel(context, { key, texts }, flags)
      }),
    )
}

function defineMounting(snapshot: Command, start: Start): void {
  withPlace(snapshot.command('mounts'))
    .summary('say how a snapshot is mounted')
    .description('Prints the commands that mount an active snapshot or a view.')
    .argument('<key>', 'the snapshot')
    .argument('[dir]', 'where')
    .addHelpText('after', examples('cairn snapshot mounts work /mnt'))
    .action((key: string, target: string | undefined, flags: SnapshotFlags) =>
      start(async context => {
        const { snapshotMounts } = await import('../commands/snapshot-mounts.js')
        await snapshotMounts(context, { key, target }, flags)
      }),
    )

  withPlace(snapshot.command('mount'))
    .summary('mount a snapshot')
    .description(
      'Mounts an active snapshot or a view on a folder, however many its layers.',
    )
    .argument('<key>', 'the snapshot')
    .argument('<dir>', 'where')
    .addHelpText('after', examples('cairn snapshot mount work /mnt'))
    .action((key: string, target: string, flags: SnapshotFlags) =>
      start(async context => {
        const { snapshotMount } = await import('../commands/snapshot-mount.js')
        await snapshotMount(context, { key, target }, flags)
      }),
    )

  snapshot
    .command('umount')
    .summary('take a mount away')
    .description('Unmounts what is mounted on a folder.')
    .argument('<dir>', 'where')
    .addHelpText('after', examples('cairn snapshot umount /mnt'))
    .action((target: string) =>
      start(async context => {
        const { snapshotUmount } = await import('../commands/snapshot-umount.js')
        await snapshotUmount(context, target)
      }),
    )
}

function defineStoring(snapshot: Command, start: Start): void {
  withPlace(snapshot.command('save'))
    .summary('store a snapshot in the repository')
    .description(
      'Stores the whole tree of a snapshot as an application; prints its digest. With ' +
        '--diff only what the snapshot itself changes, with times, marked as layers of ' +
        'OCI images are.',
    )
    .argument('<key>', 'the snapshot')
    .requiredOption('-t, --tag <tag>', 'set this tag to it')
    .option('--mtime', 'keep modification times (they change the digest)')
    .option('--diff', 'only what the snapshot itself changes')
    .addHelpText(
      'after',
      examples(
        'cairn snapshot save base -t base --mtime',
        'cairn snapshot save work -t layer --diff --socket /run/cairn.sock',
      ),
    )
    .action((key: string, flags: SaveFlags) =>
      start(async context => {
        const { snapshotSave } = await import('../commands/snapshot-save.js')
        await snapshotSave(context, key, flags)
      }),
    )

  withLabels(withPlace(snapshot.command('load'), { makes: true }))
    .summary('make a snapshot of a stored tree')
    .description(
      'Makes a committed snapshot of an application, verified and durable. What was loaded ' +
        'before is not written again: the new snapshot shares its files.',
    )
    .argument('<ref>', 'what to load')
    .argument('<name>', 'name of the new snapshot')
    .option('--parent <name>', 'the snapshot that changes (save --diff) are applied to')
    .addHelpText(
      'after',
      examples(
        'cairn snapshot load base base',
        'cairn snapshot load layer work2 --parent base',
      ),
    )
    .action((ref: string, name: string, flags: LoadFlags) =>
      start(async context => {
        const { snapshotLoad } = await import('../commands/snapshot-load.js')
        await snapshotLoad(context, { ref, name }, flags)
      }),
    )
}

function defineRepair(snapshot: Command, start: Start): void {
  snapshot
    .command('repair')
    .summary('make a folder with a damaged log usable')
    .description(
      'Keeps the snapshots that whole records of the log tell of and whose files are there. ' +
        'Deletes nothing: the damaged log stays, files without a snapshot go to lost.',
    )
    .option(
      '--root <dir>',
      'folder of the snapshots (default: snapshots in the repository)',
    )
    .addHelpText(
      'after',
      examples('cairn snapshot repair --root /var/lib/cairn/snapshots'),
    )
    .action((flags: SnapshotFlags) =>
      start(async context => {
        const { snapshotRepair } = await import('../commands/snapshot-repair.js')
        await snapshotRepair(context, flags)
      }),
    )
}

function withPlace(command: Command, { makes = false } = {}): Command {
  command
    .option(
      '--root <dir>',
      'folder of the snapshots (default: snapshots in the repository)',
    )
    .option('--socket <path>', 'socket of a snapshotter that has them open')
  return makes ? command.addOption(driverOption()) : command
}

function withLabels(command: Command): Command {
  return command.option('--label <key=value>', 'a label; may be repeated', collect)
}

function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text]
}

function defineSnapshotter(program: Command, start: Start): void {
  program
    .command('snapshotter')
    .summary('serve snapshots to containerd')
    .description(
      'Serves snapshots on a socket, as a proxy plugin of containerd. Prints one line when ' +
        'it listens. SIGTERM and SIGINT let calls under way finish. Log lines go to ' +
        'standard error.',
    )
    .requiredOption('--socket <path>', 'where to listen; a dead socket there is replaced')
    .option(
      '--root <dir>',
      'folder of the snapshots (default: snapshots in the repository)',
    )
    .addOption(driverOption())
    .option(
      '--layers',
      'keep layers of images in the repository, and never download those it holds',
    )
    .option(
      '--no-content-sync',
      'commit without waiting until the files are on disk: faster, and empty after a power cut',
    )
    .addHelpText(
      'after',
      examples(
        'cairn snapshotter --socket /run/cairn/snapshotter.sock',
        'cairn snapshotter --socket /run/cairn.sock --root /var/lib/cairn/snapshots',
      ),
    )
    .action((flags: SnapshotterFlags) =>
      start(async context => {
        const { snapshotter } = await import('../commands/snapshotter.js')
        await snapshotter(context, flags)
      }),
    )
}

function driverOption(): Option {
  return new Option(
    '--driver <name>',
    'how a new folder keeps snapshots (default: overlay where it works)',
  ).choices(['overlay', 'native'])
}
