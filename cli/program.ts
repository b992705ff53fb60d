import { Command, CommanderError } from 'commander'
import { InvalidArgumentError } from '../lib/errors.js'
import type { Start } from './context.js'
import { defineBundleCommands } from './definitions/bundle.js'
import { defineMaintenanceCommands } from './definitions/maintenance.js'
import { defineOtherCommands } from './definitions/other.js'
import { defineRemoteCommands } from './definitions/remote.js'
import { defineRepositoryCommands } from './definitions/repository.js'
import { defineSnapshotCommands } from './definitions/snapshot.js'
import { defineTagCommands } from './definitions/tag.js'
import { defineTarCommands } from './definitions/tar.js'
import { defineTreeCommands } from './definitions/tree.js'

/** Defines the command line; what a command does is loaded when it runs. */
export function createProgram(version: string, start: Start): Command {
  const program = new Command('cairn')
    .description('Stores filesystem trees by digest, and moves them between machines.')
    .version(version, '-V, --version', 'print the version')
    .option(
      '--repo <dir>',
      'repository (default: $CAIRN_REPO, else ~/.local/share/cairn)',
    )
    .option('--json', 'print one JSON document, errors too')
    .option('-q, --quiet', 'print only results')
    .option('-v, --verbose', 'print more, stacks of errors too')
    .option('--no-progress', 'show no progress')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: true })
    // main prints errors, in one line or as JSON.
    .configureOutput({ outputError: () => {} })
    .exitOverride()
    .addHelpText('after', topics)
    .hook('preAction', (_, command) => refuseEmpty(command))
  defineRepositoryCommands(program, start)
  defineMaintenanceCommands(program, start)
  defineTreeCommands(program, start)
  defineTarCommands(program, start)
  defineTagCommands(program, start)
  defineRemoteCommands(program, start)
  defineBundleCommands(program, start)
  defineSnapshotCommands(program, start)
  defineOtherCommands(program, start)
  return program
}

// An empty argument is a variable that was not set, never a name that was meant.
function refuseEmpty(command: Command): void {
  command.args.forEach((text, place) => {
    if (text !== '') return
    const name = command.registeredArguments[place]?.name() ?? 'ref'
    throw new InvalidArgumentError(`the argument ${name} is empty`, { argument: name })
  })
  for (const [name, value] of Object.entries(command.optsWithGlobals())) {
    if (value !== '') continue
    const flag = `--${name.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
    throw new InvalidArgumentError(`the value of ${flag} is empty`, { flag })
  }
}

/** Whether commander ended the run because it printed what was asked for. */
export function isHelpOrVersion(error: unknown): boolean {
  return error instanceof CommanderError && error.exitCode === 0
}

const topics = `
A REF is a tag, TAG@{n} (the n-th value before), a digest, or 8 or more of its first digits.
A PATH inside a tree follows its REF after a colon; bytes that are not printable UTF-8
stand in it as \\xHH, as cairn prints them.

Examples:
  $ cairn quickstart
  $ cairn store /srv/app -t app
  $ cairn push https://host.example/team/app app
  $ cairn checkout app /srv/copy
`
