import type { ObjectReader } from '../../store/object-store.js'
import { FileMaker } from '../../system/file-maker.js'
import { findUmask } from '../../system/umask.js'
import { BatchCrew, workersFor } from './batch-crew.js'
import type { CheckoutOptions } from './checkout.js'
import { AttributePlanner } from './file-attributes.js'
import type { OrdinaryFileTools } from './ordinary-files.js'

// Larger files are copied with progress, and can be stopped.
const maxBytes = 64 * 1024 * 1024

/** What makes ordinary files; without tools where the store or the platform lacks calls. */
export type FileMakers = AsyncDisposable & {
  readonly tools: Omit<OrdinaryFileTools, 'metadata'> | undefined
}

/** Starts what makes ordinary files, in threads where so many entries are worth it. */
export function startMakers(
  objects: ObjectReader,
  options: CheckoutOptions,
  entries: number,
): FileMakers {
  const locator = objects.locator?.()
  const maker = FileMaker.find()
  if (locator === undefined || maker === undefined) {
    locator?.[Symbol.dispose]()
    return { tools: undefined, [Symbol.asyncDispose]: async () => {} }
  }
  const { verifyClones = true, workers = workersFor(entries), ownerMap } = options
  const crew = new BatchCrew(maker, workers, { verifyClones, umask: findUmask() })
  const planner = new AttributePlanner(ownerMap)
  return {
    tools: { locator, planner, crew, maxBytes, verifyClones },
    async [Symbol.asyncDispose]() {
      await crew[Symbol.asyncDispose]()
      locator[Symbol.dispose]()
    },
  }
}
