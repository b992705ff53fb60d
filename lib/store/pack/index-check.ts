import { InvalidObjectError } from '../../errors.js'
import type { MultiIndex } from './multi-index.js'
import type { PackFile } from './pack-file.js'
import { type IndexTable, rowBytes, type SortedTables } from './pack-index.js'

/**
 * Checks that hashes ascend and that the fan-outs count them; rows are not looked at.
 *
 * Throws InvalidObjectError.
 */
export function checkOrder(
  tables: SortedTables,
  where: string,
  { repeats }: { readonly repeats: boolean },
): void {
  for (const table of tables.tables) {
    const order = new OrderCheck(table, where, repeats)
    for (const { hashes, count } of tables.pieces(table, 0, table.count)) {
      order.add(hashes, count)
    }
    order.end(tables.fanOutOf(table))
  }
}

/**
 * Checks that a merged index has exactly the rows of the packs that it names; packs that
 * are gone by now may be named.
 *
 * @param find - opens a pack by its file name
 */
export function checkMultiIndex(
  multi: MultiIndex,
  find: (name: string) => PackFile | undefined,
): void {
  multi.check()
  checkOrder(multi.tables, multi.path, { repeats: true })
  const packs = multi.packs.map(find)
  for (const table of multi.tables.tables) checkTable(multi, table, packs)
  for (const pack of packs) {
    for (const { algorithm, count } of pack?.index.tables ?? []) {
      const isCovered = multi.tables.tables.some(table => table.algorithm === algorithm)
      if (count > 0 && !isCovered) throw differs(multi, pack?.path ?? '')
    }
  }
}

function checkTable(
  multi: MultiIndex,
  table: IndexTable,
  packs: readonly (PackFile | undefined)[],
): void {
  const cursors = packs.map(pack => pack && new RowCursor(pack, table.algorithm))
  const width = 1 + table.hashBytes
  const stride = multi.rowBytes
  for (const { hashes, rows, count } of multi.tables.pieces(table, 0, table.count)) {
    for (let row = 0; row < count; row++) {
      const number = rows.readUInt32LE(row * stride + rowBytes)
      if (number >= packs.length) throw differs(multi, `pack number ${number}`)
      const cursor = cursors[number]
      if (cursor === undefined) continue
      const digest = hashes.subarray(row * width, (row + 1) * width)
      const place = rows.subarray(row * stride, row * stride + rowBytes)
      if (!cursor.matches(digest, place)) throw differs(multi, cursor.path)
    }
  }
  for (const cursor of cursors)
    if (cursor?.isAtEnd === false) throw differs(multi, cursor.path)
}

function differs(multi: MultiIndex, where: string): InvalidObjectError {
  return new InvalidObjectError(
    `invalid merged index ${multi.path}: it does not say what ${where} says`,
    { path: multi.path, pack: where },
  )
}

// Walks the rows of one pack in order.
class RowCursor {
  readonly path: string
  readonly #pieces: Iterator<{ hashes: Buffer; rows: Buffer; count: number }>
  readonly #width: number
  #piece: { hashes: Buffer; rows: Buffer; count: number } | undefined
  #row = 0

  constructor(pack: PackFile, algorithm: number) {
    this.path = pack.path
    const table = pack.index.tables.find(one => one.algorithm === algorithm)
    this.#width = 1 + (table?.hashBytes ?? 0)
    this.#pieces =
      table === undefined
        ? [].values()
        : pack.index.pieces(table, 0, table.count)[Symbol.iterator]()
    this.#advance()
  }

  get isAtEnd(): boolean {
    return this.#piece === undefined
  }

  /** Whether the next row is this one; moves on. */
  matches(digest: Buffer, place: Buffer): boolean {
    const piece = this.#piece
    if (piece === undefined) return false
    const from = this.#row * this.#width
    const at = this.#row * rowBytes
    const isSame =
      piece.hashes.compare(digest, 0, digest.length, from, from + this.#width) === 0 &&
      piece.rows.compare(place, 0, rowBytes, at, at + rowBytes) === 0
    this.#row += 1
    if (this.#row === piece.count) this.#advance()
    return isSame
  }

  #advance(): void {
    const next = this.#pieces.next()
    this.#piece = next.done === true ? undefined : next.value
    this.#row = 0
  }
}

class OrderCheck {
  readonly #table: IndexTable
  readonly #where: string
  readonly #repeats: boolean
  readonly #counts: Uint32Array
  #before: Buffer | undefined

  constructor(table: IndexTable, where: string, repeats: boolean) {
    this.#table = table
    this.#where = where
    this.#repeats = repeats
    this.#counts = new Uint32Array(2 ** table.fanOutBits)
  }

  add(hashes: Buffer, count: number): void {
    const { hashBytes, fanOutBits } = this.#table
    const width = 1 + hashBytes
    if (this.#before) this.#checkPair(this.#before, 0, hashes, 0)
    for (let row = 0; row < count; row++) {
      const at = row * width
      if (row > 0) this.#checkPair(hashes, at - width, hashes, at)
      const bucket =
        fanOutBits === 0 ? 0 : hashes.readUInt32BE(at + 1) >>> (32 - fanOutBits)
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    }
    this.#before = Buffer.from(hashes.subarray((count - 1) * width, count * width))
  }

  end(fanOut: Buffer): void {
    let sum = 0
    for (const [bucket, count] of this.#counts.entries()) {
      sum += count
      if (fanOut.readUInt32LE(4 * bucket) !== sum) {
        throw this.#invalid('its fan-out does not count its hashes')
      }
    }
  }

  #checkPair(one: Buffer, oneAt: number, other: Buffer, otherAt: number): void {
    const width = 1 + this.#table.hashBytes
    const order = one.compare(other, otherAt, otherAt + width, oneAt, oneAt + width)
    if (order > 0 || (order === 0 && !this.#repeats)) {
      throw this.#invalid('its hashes do not ascend')
    }
  }

  #invalid(problem: string): InvalidObjectError {
    const where = this.#where
    return new InvalidObjectError(`invalid index in ${where}: ${problem}`, {
      path: where,
    })
  }
}
