import type { BigIntStats } from 'node:fs'
import type { FileState } from '../../../system/direct-calls.js'
import type { FilesystemId } from '../../../system/filesystem-id.js'
import { stateWords } from './stat-rows.js'

/** Which file, in which state: the first words of a row. Used again for the next file. */
export class FileKey {
  readonly words = new Uint32Array(stateWords)

  set filesystem({ high, low }: FilesystemId) {
    this.words[0] = high
    this.words[1] = low
  }

  get changedMilliseconds(): number {
    const [high = 0, low = 0, nanoseconds = 0] = this.words.subarray(6, 9)
    return ((high | 0) * 2 ** 32 + low) * 1000 + nanoseconds / 1e6
  }

  setState(state: FileState): void {
    state.tellState(this.words, 2)
  }

  setStat({ ino, size, ctimeNs, mtimeNs }: BigIntStats): void {
    const { words } = this
    setLong(words, 2, ino)
    setLong(words, 4, size)
    setTime(words, 6, ctimeNs)
    setTime(words, 9, mtimeNs)
  }
}

/** The device of a file, as FileState tells it. */
export function deviceOf({ dev }: BigIntStats): number {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n)
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n)
  return Number(major) * 2 ** 32 + Number(minor)
}

function setLong(words: Uint32Array, at: number, value: bigint): void {
  words[at] = Number(BigInt.asUintN(32, value >> 32n))
  words[at + 1] = Number(BigInt.asUintN(32, value))
}

const second = 1_000_000_000n

function setTime(words: Uint32Array, at: number, nanoseconds: bigint): void {
  const rest = ((nanoseconds % second) + second) % second
  setLong(words, at, (nanoseconds - rest) / second)
  words[at + 2] = Number(rest)
}
