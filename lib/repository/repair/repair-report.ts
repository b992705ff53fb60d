import type { Digest } from '../../object/digest.js'
import type { ObjectType } from '../../object/object-type.js'
import type { Finding } from '../check/finding.js'
import type { ObjectUse } from './object-uses.js'
import type { QuarantinedItem } from './quarantine.js'

/** An object that is there again. */
export type HealedObject = {
  readonly digest: Digest
  readonly type: ObjectType
  readonly size: number
  /** The name of the source that had it. */
  readonly source: string
}

/** Something that is still wrong. */
export type UnhealedFinding = Finding & {
  /** Where a missing object is needed: the first few. */
  readonly uses: readonly ObjectUse[]
}

/** What a repair did. */
export type RepairReport = {
  /** What was bad, and where it is kept now. */
  readonly quarantined: readonly QuarantinedItem[]
  /** Files that were made anew from others. */
  readonly rebuilt: readonly string[]
  readonly healed: readonly HealedObject[]
  readonly unhealed: readonly UnhealedFinding[]
  /** What sources could not do. */
  readonly problems: readonly { readonly where: string; readonly message: string }[]
}

/** Gathers a report. */
export class RepairLedger {
  readonly quarantined: QuarantinedItem[] = []
  readonly rebuilt: string[] = []
  readonly healed: HealedObject[] = []
  /** What no repair changes. */
  readonly findings: Finding[] = []
  readonly problems: { where: string; message: string }[] = []
}
