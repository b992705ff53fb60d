import type { Command } from 'commander'
import type { Start } from '../context.js'
import { examples } from '../help.js'
import type { OverrideFlags } from '../set-tag.js'

const overrideOption = [
  '--override-protection',
  'move or remove a protected tag all the same',
] as const

/** Defines `cairn tag …`. */
export function defineTagCommands(program: Command, start: Start): void {
  const tag = program
    .command('tag')
    .helpCommand(false)
    .summary('list, set and remove tags')
    .description('Tags name stored trees.')
    .addHelpText('after', examples('cairn tag list', 'cairn tag set stable app'))

  tag
    .command('list')
    .summary('list the tags')
    .description('Lists the tags in byte order.')
    .addHelpText('after', examples('cairn tag list', 'cairn tag list --json'))
    .action(() =>
      start(async context => {
        const { tagList } = await import('../commands/tag-list.js')
        await tagList(context)
      }),
    )

  tag
    .command('set')
    .summary('set a tag')
    .description('Makes a tag name what REF names.')
    .argument('<tag>', 'tag to set')
    .argument('<ref>', 'what it shall name')
    .addHelpText(
      'after',
      examples('cairn tag set stable app', "cairn tag set stable 'app@{1}'"),
    )
    .option(...overrideOption)
    .action((name: string, ref: string, flags: OverrideFlags) =>
      start(async context => {
        const { tagSet } = await import('../commands/tag-set.js')
        await tagSet(context, name, ref, flags)
      }),
    )

  tag
    .command('remove')
    .summary('remove a tag')
    .description('Removes a tag; what it named stays stored, and its log too.')
    .argument('<tag>', 'tag to remove')
    .addHelpText('after', examples('cairn tag remove stable'))
    .option(...overrideOption)
    .action((name: string, flags: OverrideFlags) =>
      start(async context => {
        const { tagRemove } = await import('../commands/tag-remove.js')
        await tagRemove(context, name, flags)
      }),
    )

  tag
    .command('log')
    .summary('print what a tag named before')
    .description(
      'Prints what a tag named, newest first; the first column is the n of TAG@{n}.',
    )
    .argument('<tag>', 'whose log')
    .addHelpText('after', examples('cairn tag log stable'))
    .action((name: string) =>
      start(async context => {
        const { tagLog } = await import('../commands/tag-log.js')
        await tagLog(context, name)
      }),
    )

  tag
    .command('restore')
    .summary('set a tag back to a former value')
    .description('Sets a tag to what it named before; works for a removed tag too.')
    .argument('<tag@{n}>', 'the former value, as cairn tag log numbers it')
    .addHelpText('after', examples("cairn tag restore 'stable@{1}'"))
    .option(...overrideOption)
    .action((ref: string, flags: OverrideFlags) =>
      start(async context => {
        const { tagRestore } = await import('../commands/tag-restore.js')
        await tagRestore(context, ref, flags)
      }),
    )

  tag
    .command('protect')
    .summary('keep tags from being moved or removed')
    .description(
      'Protects tags whose names fit a pattern, now and later: once one is set, nobody ' +
        'moves or removes it, by a push neither. A * stands for any characters.',
    )
    .argument('<pattern>', 'which tags')
    .addHelpText('after', examples("cairn tag protect 'v*'", 'cairn tag protect stable'))
    .action((pattern: string) =>
      start(async context => {
        const { tagProtect } = await import('../commands/tag-protect.js')
        await tagProtect(context, pattern)
      }),
    )

  tag
    .command('unprotect')
    .summary('take a protection away')
    .description('Takes away a pattern that protects tags.')
    .argument('<pattern>', 'pattern as it was given')
    .addHelpText('after', examples("cairn tag unprotect 'v*'"))
    .action((pattern: string) =>
      start(async context => {
        const { tagUnprotect } = await import('../commands/tag-unprotect.js')
        await tagUnprotect(context, pattern)
      }),
    )

  tag
    .command('protected')
    .summary('list the patterns that protect tags')
    .description('Lists the patterns that protect tags, in byte order.')
    .addHelpText('after', examples('cairn tag protected'))
    .action(() =>
      start(async context => {
        const { tagProtected } = await import('../commands/tag-protected.js')
        await tagProtected(context)
      }),
    )
}
