/** Cuts a row into arrays of up to `size`; none is empty. */
export function* batchesOf<Item>(
  items: Iterable<Item>,
  size: number,
): Generator<Item[], void> {
  let batch: Item[] = []
  for (const item of items) {
    if (batch.push(item) < size) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
