import { closeSync, readFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { InvalidObjectError } from '../../errors.js'
import { openPackPart } from './pack-part.js'

/*
 * What a garbage collector has condemned, in `packs/condemned`: replaced by rename.
 *
 *   header: 8 bytes magic, u32 bytes of the JSON text
 *   text:   JSON {generations: [{kind, time, barrier, packs: [{name, count, dead}]}]}
 *   bits:   per pack with dead > 0, in the order of the text: ceil(count / 8) bytes, bit n
 *           (from the least) set for the condemned object at ordinal n of the trailer
 *   end:    u32 CRC-32 of all before
 */

/** File name of the list among the packs. */
export const condemnedName = 'condemned'

const magic = Buffer.from('cairngc1')
const headerBytes = 12
const crcBytes = 4
const maxTextBytes = 64 * 1024 * 1024

/**
 * How far a condemned object is on its way out.
 *
 * `condemned`: nothing new may rely on it, readers still see it. `trash`: absent to
 * everyone, can be taken back. `dead`: absent, and its pack may be gone already.
 */
export type CondemnedKind = (typeof kinds)[number]

const kinds = ['condemned', 'trash', 'dead'] as const

/** For what an object is looked up. */
export type Purpose = 'read' | 'store' | 'collect'

/** The objects of one pack that one run condemned, by ordinal in its trailer. */
export class OrdinalSet {
  /** Objects in the pack. */
  readonly length: number
  readonly #bytes: Uint8Array
  #count: number

  constructor(length: number, bytes = new Uint8Array(Math.ceil(length / 8))) {
    this.length = length
    this.#bytes = bytes
    this.#count = 0
    for (const byte of bytes) this.#count += bitCount(byte)
  }

  get count(): number {
    return this.#count
  }

  get bytes(): Uint8Array {
    return this.#bytes
  }

  has(ordinal: number): boolean {
    return ((this.#bytes[ordinal >>> 3] ?? 0) & (1 << (ordinal & 7))) !== 0
  }

  /** Adds an ordinal; false when it is there already. */
  add(ordinal: number): boolean {
    if (this.has(ordinal)) return false
    if (ordinal >= this.length) throw new RangeError(`no ordinal ${ordinal}`)
    this.#bytes[ordinal >>> 3] = (this.#bytes[ordinal >>> 3] ?? 0) | (1 << (ordinal & 7))
    this.#count += 1
    return true
  }

  addAll(other: OrdinalSet): void {
    for (let ordinal = 0; ordinal < other.length; ordinal++) {
      if (other.has(ordinal)) this.add(ordinal)
    }
  }

  /** Those of this set that are not in the other. */
  without(other: OrdinalSet | undefined): OrdinalSet {
    if (other === undefined) return this
    const bytes = this.#bytes.map((byte, index) => byte & ~(other.bytes[index] ?? 0))
    return new OrdinalSet(this.length, bytes)
  }
}

/** What one run condemned. */
export type Generation = {
  readonly kind: CondemnedKind
  /** When it came to be of this kind, in milliseconds since 1970-01-01 UTC. */
  readonly time: number
  /** The number of the last session that may rely on objects condemned here. */
  readonly barrier: number
  /** By file name: every pack that was there when the run began, also where none is dead. */
  readonly packs: ReadonlyMap<string, OrdinalSet>
}

/** What is condemned in a folder of packs. */
export class CondemnedList {
  readonly generations: readonly Generation[]
  readonly #hidden: Readonly<Record<Purpose, ReadonlyMap<string, readonly OrdinalSet[]>>>

  constructor(generations: readonly Generation[]) {
    this.generations = generations
    this.#hidden = {
      read: setsByPack(generations.filter(({ kind }) => kind !== 'condemned')),
      store: setsByPack(generations),
      collect: new Map(),
    }
  }

  /** Whether an object of a pack counts as absent for this purpose. */
  hides(pack: string, ordinal: number, purpose: Purpose): boolean {
    return this.#hidden[purpose].get(pack)?.some(set => set.has(ordinal)) === true
  }

  /** Whether any object of a pack counts as absent for this purpose. */
  touches(pack: string, purpose: Purpose): boolean {
    return this.#hidden[purpose].has(pack)
  }

  encode(): Buffer {
    const text = Buffer.from(
      JSON.stringify({
        generations: this.generations.map(({ packs, ...facts }) => ({
          ...facts,
          packs: [...packs].map(([name, { length, count }]) => ({
            name,
            count: length,
            dead: count,
          })),
        })),
      }),
    )
    const header = Buffer.alloc(headerBytes)
    magic.copy(header)
    header.writeUInt32LE(text.length, magic.length)
    const bits = this.generations.flatMap(({ packs }) =>
      [...packs.values()].filter(({ count }) => count > 0).map(({ bytes }) => bytes),
    )
    const body = Buffer.concat([header, text, ...bits])
    const end = Buffer.alloc(crcBytes)
    end.writeUInt32LE(crc32(body))
    return Buffer.concat([body, end])
  }

  /** Decodes; throws InvalidObjectError. */
  static decode(encoded: Buffer, path: string): CondemnedList {
    const end = encoded.length - crcBytes
    if (end < headerBytes || !encoded.subarray(0, magic.length).equals(magic)) {
      throw invalid(path, 'it does not start as a list')
    }
    if (crc32(encoded.subarray(0, end)) !== encoded.readUInt32LE(end)) {
      throw invalid(path, 'it does not have its checksum')
    }
    const textEnd = headerBytes + encoded.readUInt32LE(magic.length)
    if (textEnd > Math.min(end, maxTextBytes)) throw invalid(path, 'its text is cut off')
    const text = parseText(encoded.toString('utf8', headerBytes, textEnd), path)
    let at = textEnd
    const take = (count: number, dead: number): OrdinalSet => {
      const length = Math.ceil(count / 8)
      if (at + length > end) throw invalid(path, 'its bits are cut off')
      const set = new OrdinalSet(
        count,
        Uint8Array.from(encoded.subarray(at, at + length)),
      )
      if (set.count !== dead)
        throw invalid(path, 'its bits do not count as its text says')
      at += length
      return set
    }
    const generations = text.map(({ packs, ...facts }) => ({
      ...facts,
      packs: new Map(
        packs.map(({ name, count, dead }) => [
          name,
          dead > 0 ? take(count, dead) : new OrdinalSet(count),
        ]),
      ),
    }))
    if (at !== end) throw invalid(path, 'its bits are longer than its text says')
    return new CondemnedList(generations)
  }
}

/** The list of a folder without garbage. */
export const noneCondemned = new CondemnedList([])

/** Reads a list; throws InvalidObjectError, or the system's error when there is none. */
export function readCondemnedList(path: string): CondemnedList {
  const fd = openPackPart(path, 'list of condemned objects')
  try {
    return CondemnedList.decode(readFileSync(fd), path)
  } finally {
    closeSync(fd)
  }
}

type GenerationText = Omit<Generation, 'packs'> & {
  readonly packs: readonly { name: string; count: number; dead: number }[]
}

function parseText(text: string, path: string): GenerationText[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw invalid(path, 'its text is no JSON')
  }
  const generations = isRecord(parsed) ? parsed['generations'] : undefined
  if (!Array.isArray(generations)) throw invalid(path, 'its text names no generations')
  return generations.map(generation => parseGeneration(generation, path))
}

function parseGeneration(value: unknown, path: string): GenerationText {
  if (!isRecord(value)) throw invalid(path, 'a generation is no object')
  const { time, barrier, packs } = value
  const kind = kinds.find(known => known === value['kind'])
  if (
    kind === undefined ||
    !isCount(time) ||
    !isCount(barrier) ||
    !Array.isArray(packs)
  ) {
    throw invalid(path, 'a generation lacks kind, time, barrier or packs')
  }
  return {
    kind,
    time,
    barrier,
    packs: packs.map((pack: unknown) => {
      if (!isRecord(pack)) throw invalid(path, 'a pack is no object')
      const { name, count, dead } = pack
      if (
        typeof name === 'string' &&
        isCount(count) &&
        count < 2 ** 32 &&
        isCount(dead)
      ) {
        return { name, count, dead }
      }
      throw invalid(path, 'a pack lacks name, count or dead')
    }),
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function setsByPack(
  generations: readonly Generation[],
): ReadonlyMap<string, readonly OrdinalSet[]> {
  const sets = new Map<string, OrdinalSet[]>()
  for (const { packs } of generations) {
    for (const [name, set] of packs) {
      if (set.count === 0) continue
      const before = sets.get(name)
      if (before === undefined) sets.set(name, [set])
      else before.push(set)
    }
  }
  return sets
}

function bitCount(byte: number): number {
  let count = 0
  for (let rest = byte; rest !== 0; rest &= rest - 1) count += 1
  return count
}

function invalid(path: string, problem: string): InvalidObjectError {
  return new InvalidObjectError(`invalid list of condemned objects ${path}: ${problem}`, {
    path,
  })
}
