import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { removeTree } from '../../lib/tree/checkout/remove-tree.js'
import { openRoot } from '../../lib/tree/source/source-root.js'
import type { CommandContext } from '../context.js'
import { type Proof, proveIdentical } from '../quickstart/proof.js'
import { findSampleFolder } from '../quickstart/sample-folder.js'
import { StepRunner } from '../quickstart/step-runner.js'

const tag = 'quickstart'

/** `cairn quickstart [PATH]` */
export async function quickstart(
  context: CommandContext,
  path: string | undefined,
): Promise<void> {
  const source = path === undefined ? findSampleFolder() : resolve(path)
  openRoot(Buffer.from(source))[Symbol.dispose]()
  const folder = await mkdtemp(join(tmpdir(), 'cairn-quickstart-'))
  try {
    const runner = new StepRunner(context)
    await runner.tell(`The main job on ${source}, in ${folder}:\n\n`)
    const proof = await doMainJob(runner, source, folder)
    await report(context, { source, runner, proof })
    if (!proof.identical) context.finishWith(1)
  } finally {
    context.output.note(`removing ${folder}`)
    removeTree(Buffer.from(folder))
  }
}

async function doMainJob(
  runner: StepRunner,
  source: string,
  folder: string,
): Promise<Proof> {
  const here = ['--repo', join(folder, 'here')]
  const served = join(folder, 'served')
  const there = ['--repo', join(served, 'app')]
  const third = ['--repo', join(folder, 'third')]
  const copy = join(folder, 'copy')

  await runner.run('init', ...here)
  const stored = await runner.run('store', source, '-t', tag, ...here)
  await runner.run('tag', 'list', ...here)
  await runner.run('init', ...there)
  await runner.run('init', ...third)
  {
    await using server = await runner.serve('--root', served, '--listen', '127.0.0.1:0')
    await runner.run('push', `${server.url}/app`, tag, ...here)
    await runner.run('pull', `${server.url}/app`, tag, ...third)
  }
  await runner.run('fsck', ...there)
  await runner.run('fsck', ...third)
  const checkedOut = await runner.run('checkout', tag, copy, ...third, '--json')
  return proveIdentical(runner, { source, copy, stored, checkedOut, repository: third })
}

async function report(
  context: CommandContext,
  { source, runner, proof }: { source: string; runner: StepRunner; proof: Proof },
): Promise<void> {
  await context.output.result(
    { source, identical: proof.identical, steps: runner.steps, ...proof.document },
    proof.lines.map(line => `${line}\n`).join(''),
  )
}
