import { RefNotFoundError } from '../../errors.js'
import { type Digest, findDigest } from '../../object/digest.js'
import { findTagName, type TagName } from '../../object/tag-name.js'
import type { Repository } from '../../repository/repository.js'
import { getApplication } from '../../store/typed-object.js'
import type { Labels } from '../snapshot.js'
import type { SnapshotKey } from '../snapshot-key.js'
import type { CallOptions } from '../snapshotter.js'
import { referenceLabel, saveSnapshot } from './save-snapshot.js'
import { contentOf } from './saved-content.js'
import type { SnapshotContents } from './snapshot-contents.js'

/** The label by which an image says what to look for: a tag, or a digest. */
const ownLabel = 'containerd.io/snapshot/cairn.ref'

/** Layers of images that a repository holds, found by what containerd calls them. */
export class HeldLayers {
  readonly #repository: Repository
  readonly #who: string

  /** @param who - said in the logs of tags */
  constructor(repository: Repository, who: string) {
    this.#repository = repository
    this.#who = who
  }

  get reader(): Repository['objects'] {
    return this.#repository.objects
  }

  /**
   * Finds the layer that labels ask for.
   *
   * An application says itself which layer it is: labels come with images, whose makers
   * must not choose what of this repository a container sees.
   */
  async find(labels: Labels): Promise<Digest | undefined> {
    const reference = labels.get(referenceLabel)
    if (reference === undefined) return undefined
    for (const ref of [labels.get(ownLabel), tagOfLayer(reference)]) {
      const application = ref === undefined ? undefined : await this.#resolve(ref)
      if (application === undefined) continue
      const content = await getApplication(this.reader, application)
      if (contentOf(content).reference === reference) return application
    }
    return undefined
  }

  /** Stores a committed layer, unless it is held; false for what no tag can name. */
  async keep(
    contents: SnapshotContents,
    { key, labels }: { readonly key: SnapshotKey; readonly labels: Labels },
    { signal }: CallOptions = {},
  ): Promise<boolean> {
    const tag = tagOfLayer(labels.get(referenceLabel) ?? '')
    if (tag === undefined || (await this.find(labels)) !== undefined) return false
    await using session = await this.#repository.begin({
      purpose: 'store',
      publishing: 'gradual',
    })
    const { descriptor } = await saveSnapshot(contents, key, session.objects, {
      content: 'changes',
      scratch: session.folder,
      ...(signal !== undefined && { signal }),
    })
    await session.objects.publish([descriptor.digest])
    const message = 'a layer that containerd unpacked'
    await this.#repository.tags.set(tag, descriptor, { who: this.#who, message })
    return true
  }

  // Whole names only: an image must not make us look through all objects.
  async #resolve(ref: string): Promise<Digest | undefined> {
    if (findTagName(ref) === undefined && findDigest(ref) === undefined) return undefined
    try {
      const { digest, type } = await this.#repository.resolveRef(ref)
      return type === 'application' ? digest : undefined
    } catch (error) {
      if (error instanceof RefNotFoundError) return undefined
      throw error
    }
  }
}

/** The tag of a layer: `layer-sha256-…` for `sha256:…`. */
function tagOfLayer(reference: string): TagName | undefined {
  if (!/^[a-z0-9]+:[0-9a-f]{32,100}$/.test(reference)) return undefined
  return findTagName(`layer-${reference.replace(':', '-')}`)
}
