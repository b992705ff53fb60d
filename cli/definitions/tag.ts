import type { Command } from 'commander'
import type { Start } from '../context.js'
import { examples } from '../help.js'

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
    .action((name: string, ref: string) =>
      start(async context => {
        const { tagSet } = await import('../commands/tag-set.js')
        await tagSet(context, name, ref)
      }),
    )

  tag
    .command('remove')
    .summary('remove a tag')
    .description('Removes a tag; what it named stays stored, and its log too.')
    .argument('<tag>', 'tag to remove')
    .addHelpText('after', examples('cairn tag remove stable'))
    .action((name: string) =>
      start(async context => {
        const { tagRemove } = await import('../commands/tag-remove.js')
        await tagRemove(context, name)
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
    .action((ref: string) =>
      start(async context => {
        const { tagRestore } = await import('../commands/tag-restore.js')
        await tagRestore(context, ref)
      }),
    )
}
