import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { packSuffix } from '../../store/pack/pack-folder.js'
import { readTextNames } from '../folder-names.js'

/** A pack as its folder shows it. */
export type SizedPack = { readonly name: string; readonly bytes: number }

/** The packs in a folder, none of which is opened. */
export function* packSizes(folder: string): Generator<SizedPack, void> {
  for (const name of readTextNames(folder)) {
    if (!name.endsWith(packSuffix)) continue
    const bytes = lstatSync(join(folder, name), { throwIfNoEntry: false })?.size
    if (bytes !== undefined) yield { name, bytes }
  }
}
