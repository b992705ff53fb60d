import { cpSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { openRepository } from '../../lib/repository/open.js'
import { problemsOf } from '../support/packed-repository.js'
import { cairn } from '../support/run-cairn.js'
import { runTraced, type TracedRun } from '../support/traced-run.js'
import { type Tags, tagsOf, type Victim } from './victims.js'

/** A victim that ran undisturbed once: what others are compared with. */
export type Rehearsal = AsyncDisposable & {
  readonly victim: Victim
  readonly args: readonly string[]
  /** The repository as the command finds it: copied for every run. */
  readonly base: string
  readonly run: TracedRun
  /** Where the repository was meanwhile, and is in every run: messages name it. */
  readonly root: string
  /** The repository that the rehearsal worked on. */
  readonly control: string
  readonly before: Tags
  readonly after: Tags
}

/** Prepares a victim in a folder, and runs it traced to its end. */
export async function rehearse(
  victim: Victim,
  folder: string,
  { content = false }: { content?: boolean } = {},
): Promise<Rehearsal> {
  const base = join(folder, 'base')
  const control = join(folder, 'control')
  const round = join(folder, 'round')
  const root = join(round, 'repository')
  const scene = await victim.prepare(folder, base)
  const before = await tagsOf(base)
  mkdirSync(round)
  copyRepository(base, root)
  const run = await runTraced([...scene.args, '--repo', root], { content })
  if (run.code !== 0) throw new Error(`${victim.name}: ${run.stderr}`)
  renameSync(root, control)
  rmSync(round, { recursive: true })
  const after = await tagsOf(control)
  const { args } = scene
  const end = () => scene[Symbol.asyncDispose]()
  return {
    victim,
    args,
    base,
    run,
    root,
    control,
    before,
    after,
    [Symbol.asyncDispose]: end,
  }
}

export function copyRepository(from: string, to: string): void {
  cpSync(from, to, { recursive: true, preserveTimestamps: true })
}

/**
 * Asserts that nothing is lost: all is verified, unless it was damaged to begin with, and
 * each tag is old or new.
 */
export async function assertWhole(
  t: Test,
  root: string,
  { victim, before, after }: Rehearsal,
  where: string,
): Promise<Tags> {
  if (victim.isDamaged !== true) await assertSound(t, root, where)
  const tags = await tagsOf(root)
  for (const name of new Set([...before.keys(), ...after.keys(), ...tags.keys()])) {
    const value = tags.get(name)
    const isKnown = value === before.get(name) || value === after.get(name)
    t.ok(isKnown, `${where}: tag ${name} is old or new, found ${value}`)
  }
  return tags
}

async function assertSound(t: Test, root: string, where: string): Promise<void> {
  using repository = await openRepository(root)
  t.strictSame(await problemsOf(repository), [], `${where}: fsck finds nothing`)
}

/** Asserts that the command succeeds when it is repeated, and leaves nothing behind. */
export async function assertRepeatable(
  t: Test,
  root: string,
  rehearsal: Rehearsal,
  where: string,
): Promise<void> {
  const { code, stderr } = await cairn([...rehearsal.args, '--repo', root])
  t.equal(code, 0, `${where}: a repeat succeeds: ${stderr}`)
  const tags = await assertWhole(t, root, rehearsal, `${where}, repeated`)
  await assertSound(t, root, `${where}, repeated`)
  t.strictSame(tags, rehearsal.after, `${where}: a repeat does all of it`)
}

/** Asserts that a collection leaves no more than in a repository that never crashed. */
export async function assertNoSpaceLost(
  t: Test,
  root: string,
  { control }: Rehearsal,
  where: string,
): Promise<void> {
  const [found, expected] = [await collect(t, root), await collect(t, control)]
  t.strictSame(found.names, expected.names, `${where}: no file is left over`)
  // Packs that were cut differently are filled up differently.
  const limit = expected.bytes * 1.1 + 65536
  t.ok(found.bytes <= limit, `${where}: ${found.bytes} bytes of ${expected.bytes}`)
}

async function collect(
  t: Test,
  root: string,
): Promise<{ names: string[]; bytes: number }> {
  using repository = await openRepository(root)
  for (let run = 0; run < 2; run++) {
    const report = await repository.gc({ grace: 0, window: 0, wait: 5000 })
    t.strictSame([report.problems, report.waitingFor], [[], []])
  }
  return measure(root)
}

/** Every file but packs and objects, whose names differ from run to run; all bytes. */
function measure(root: string): { names: string[]; bytes: number } {
  const names: string[] = []
  let bytes = 0
  const walk = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = join(folder, entry.name)
      // It is given up when the disk is full, and made again in time.
      if (path === 'reserve') continue
      // What is remembered of files depends on when they were stored.
      if (path === 'cache') continue
      if (entry.isDirectory()) walk(path)
      else bytes += lstatSync(join(root, path)).size
      const isObject = /^objects\/|^packs\/.*\.pack$/.test(path)
      if (!isObject) names.push(path)
    }
  }
  walk('')
  return { names: names.toSorted(), bytes }
}
