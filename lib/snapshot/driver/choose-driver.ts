import { DriverRefusedError } from '../../errors.js'
import { type OverlayProbe, probeOverlay } from './overlay-probe.js'
import type { DriverName } from './snapshot-driver.js'

/** A driver that works, and why another one was passed over. */
export type DriverChoice =
  | { readonly name: 'overlay'; readonly options: readonly string[] }
  | { readonly name: 'native'; readonly refused?: string }

/**
 * Chooses how snapshots lie below a folder: as wanted, else overlay where it works.
 *
 * Throws DriverRefusedError, with the reason, where the wanted one does not work.
 */
export function chooseDriver(folder: string, wanted?: DriverName): DriverChoice {
  if (wanted === 'native') return { name: 'native' }
  const probe: OverlayProbe = probeOverlay(folder)
  if (probe.works) return { name: 'overlay', options: probe.options }
  if (wanted === undefined) return { name: 'native', refused: probe.reason }
  throw new DriverRefusedError(
    `the driver overlay does not work in ${folder}: ${probe.reason}`,
    { driver: 'overlay', path: folder, reason: probe.reason },
  )
}
