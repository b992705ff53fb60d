import { runInTurns } from '../lib/object/in-steps.js'
import { encodeTagListInSteps } from '../lib/object/tag-list.js'
import type { Repository } from '../lib/repository/repository.js'
import type { SkippedTag } from '../lib/repository/tag-store.js'
import { SharedRun } from './shared-run.js'

/** A tag list as it goes over the wire, and what was passed over. */
export type EncodedTags = {
  readonly bytes: Buffer
  readonly skipped: readonly SkippedTag[]
}

/**
 * The tag lists of repositories.
 *
 * None is kept: the original program writes tag files in place, which neither the folder's
 * times nor, within a tick of the clock, the file's own would show.
 */
export class TagLists {
  readonly #runs = new WeakMap<Repository, SharedRun<EncodedTags>>()

  async get(repository: Repository): Promise<EncodedTags> {
    const run = this.#runs.get(repository) ?? new SharedRun(() => listTags(repository))
    this.#runs.set(repository, run)
    return run.get()
  }
}

async function listTags({ tags }: Repository): Promise<EncodedTags> {
  const skipped: SkippedTag[] = []
  const list = await tags.list({ onSkipped: tag => skipped.push(tag) })
  return { bytes: await runInTurns(encodeTagListInSteps(list)), skipped }
}
