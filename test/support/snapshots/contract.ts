import type { Test } from 'tap'
import { testFiles } from './file-rules.js'
import { testFilters } from './filter-rules.js'
import { testKinds } from './kind-rules.js'
import { testLabels } from './label-rules.js'
import { testMounts } from './mount-rules.js'
import { testRaces } from './race-rules.js'
import type { MakeSubject } from './subject.js'
import { testUsage } from './usage-rules.js'

/** The rules of the snapshotter contract, on whatever keeps to it. Needs to be root. */
export async function testSnapshotterContract(t: Test, make: MakeSubject): Promise<void> {
  await t.test('kinds', t => testKinds(t, make))
  await t.test('labels and times', t => testLabels(t, make))
  await t.test('filters', t => testFilters(t, make))
  await t.test('mounts', t => testMounts(t, make))
  await t.test('races', t => testRaces(t, make))
  await t.test('usage', t => testUsage(t, make))
  await t.test('files', t => testFiles(t, make))
}
