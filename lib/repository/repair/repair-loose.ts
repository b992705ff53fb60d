import { CairnError } from '../../errors.js'
import { type Digest, findDigest } from '../../object/digest.js'
import { LooseLayout } from '../../store/loose-layout.js'
import { type LooseStore, openLooseStore } from '../../store/loose-store.js'
import { CheckReader } from '../check/check-reader.js'
import { scanObjects } from '../check/scan-objects.js'
import { withLock } from '../lock.js'
import type { ObjectRepairParts } from './repair-packs.js'

/** Puts objects of the loose layout aside that cannot be read or have other digests. */
export async function repairLoose(parts: ObjectRepairParts): Promise<void> {
  const { paths, ledger, quarantine, scan } = parts
  using store = openLooseStore(paths.root)
  const layout = new LooseLayout(paths.objects)
  const config = { layout: 'loose' } as const
  for await (const finding of scanObjects({ paths, objects: store, config }, scan)) {
    if (finding.kind === 'invalid-object') ledger.findings.push(finding)
    if (finding.kind !== 'corrupt-object') continue
    const digest = findDigest(finding.where)
    if (digest === undefined) continue
    const where = layout.path(digest)
    const why = finding.message
    await withLock(paths, { mode: 'exclusive' }, async () => {
      // Somebody may have stored it anew since it was looked at.
      if (await isGood(store, digest)) return
      ledger.quarantined.push(
        await quarantine.move({ what: 'object', where, why, digest }),
      )
    })
  }
}

async function isGood(store: LooseStore, digest: Digest): Promise<boolean> {
  try {
    await new CheckReader(store).verify(digest)
    return true
  } catch (error) {
    if (error instanceof CairnError) return false
    throw error
  }
}
