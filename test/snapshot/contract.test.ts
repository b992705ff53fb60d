import t from 'tap'
import { testSnapshotterContract } from '../support/snapshots/contract.js'
import { makeLocal } from '../support/snapshots/local-subject.js'

const skip = process.getuid?.() === 0 ? false : 'only root may mount'

for (const driver of ['overlay', 'native'] as const) {
  t.test(`the driver ${driver} keeps the contract`, { skip }, async t => {
    await testSnapshotterContract(t, makeLocal(driver))
  })
}
