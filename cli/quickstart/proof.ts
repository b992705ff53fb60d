import { escapeBytes } from '../../lib/object/escape.js'
import type { LeftOutKind } from '../../lib/tree/checkout/left-out.js'
import { compareFolders, type FolderComparison } from '../../lib/tree/compare-folders.js'
import type { JsonValue } from '../json.js'
import { counted, formatBytes } from '../text.js'
import { isAllowed } from './allowed-difference.js'
import { readMember, type Step, type StepRunner } from './step-runner.js'

/** Whether a copy is what its source is, and why one may believe it. */
export type Proof = {
  readonly identical: boolean
  readonly lines: readonly string[]
  readonly document: { readonly [key: string]: JsonValue }
}

/** What went through the main job. */
export type MainJob = {
  readonly source: string
  readonly copy: string
  /** The steps that stored the source, and that wrote the copy. */
  readonly stored: Step
  readonly checkedOut: Step
  /** Flags that name the repository that the copy came from. */
  readonly repository: readonly string[]
}

type LeftOut = { readonly kind: LeftOutKind; readonly count: number }

const shownDifferences = 20

/**
 * Proves a copy in two ways: its digest, and a comparison of both folders on disk that
 * shares nothing with the code that stored and wrote them.
 *
 * What the checkout said to have left out, because this user may not restore it, is named
 * and does not count.
 */
export async function proveIdentical(runner: StepRunner, job: MainJob): Promise<Proof> {
  const leftOut = readLeftOut(job.checkedOut)
  const again = await runner.run('store', job.copy, ...job.repository)
  const digests = { source: job.stored.stdout.trim(), copy: again.stdout.trim() }
  const sameDigest = digests.source === digests.copy
  const comparison = await compare(runner, job, leftOut)
  const identical = comparison.differenceCount === 0 && (sameDigest || leftOut.length > 0)
  return {
    identical,
    lines: [
      '',
      ...digestLines(digests, leftOut),
      ...comparisonLines(comparison, leftOut),
      ...leftOut.map(
        ({ kind, count }) =>
          `left out, because this user may not restore it: ${kind}, ${counted(count, 'time')}`,
      ),
      describeOutcome(identical, leftOut),
    ],
    document: {
      digests,
      leftOut,
      compared: { entries: comparison.entries, bytes: comparison.bytes },
      differences: comparison.differences.map(({ path, ...difference }) => ({
        path: escapeBytes(path),
        ...difference,
      })),
    },
  }
}

async function compare(
  runner: StepRunner,
  { source, copy }: MainJob,
  leftOut: readonly LeftOut[],
): Promise<FolderComparison> {
  const kinds = new Set(leftOut.map(({ kind }) => kind))
  const comparison = await compareFolders(source, copy, {
    // The tree was stored without times.
    ignore: ['modification-time', ...(kinds.has('owner') ? ['owner' as const] : [])],
    maxDifferences: Number.POSITIVE_INFINITY,
    signal: runner.signal,
  })
  const folder = Buffer.from(source)
  const differences = comparison.differences.filter(
    difference => !isAllowed(difference, kinds, folder),
  )
  return { ...comparison, differences, differenceCount: differences.length }
}

function digestLines(
  { source, copy }: { source: string; copy: string },
  leftOut: readonly LeftOut[],
): string[] {
  const verdict =
    source === copy
      ? 'the same'
      : leftOut.length > 0
        ? 'another one, since something was left out'
        : 'ANOTHER ONE'
  return [`digest of the source: ${source}`, `digest of the copy:   ${copy}: ${verdict}`]
}

function comparisonLines(
  comparison: FolderComparison,
  leftOut: readonly LeftOut[],
): string[] {
  const owners = leftOut.some(({ kind }) => kind === 'owner') ? '' : 'owners, '
  const parts = `types, permissions, ${owners}attributes, contents, link targets, devices, hard links`
  const { entries, bytes, differences, differenceCount } = comparison
  return [
    `compared on disk: ${counted(entries, 'entry', 'entries')}, ${formatBytes(bytes)} of ` +
      `contents (${parts}): ${counted(differenceCount, 'difference')}`,
    ...differences
      .slice(0, shownDifferences)
      .map(({ path, part, expected = '', found = '' }) =>
        `    ${escapeBytes(path)}: ${part} ${expected} ${found}`.trimEnd(),
      ),
  ]
}

function describeOutcome(identical: boolean, leftOut: readonly LeftOut[]): string {
  if (!identical) return 'NOT identical'
  return leftOut.length === 0
    ? 'identical'
    : 'identical in everything that this user may restore'
}

function readLeftOut(step: Step): LeftOut[] {
  const leftOut = readMember(step.stdout, 'leftOut')
  if (!Array.isArray(leftOut))
    throw new Error(`no list of what was left out: ${step.stdout}`)
  return leftOut as LeftOut[]
}
