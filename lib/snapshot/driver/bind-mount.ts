import type { Mount } from '../snapshot.js'
import type { Layer } from './snapshot-driver.js'

/** Shows a folder as it is, read only for a layer that is. */
export function bindMount(
  source: string,
  { readOnly, mapping }: Pick<Layer, 'readOnly' | 'mapping'>,
): Mount {
  const options = [...(mapping?.options ?? []), readOnly ? 'ro' : 'rw', 'rbind']
  return { type: 'bind', source, target: '', options }
}
