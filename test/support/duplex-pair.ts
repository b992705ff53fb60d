import { Duplex } from 'node:stream'

class HalfOfPair extends Duplex {
  peer: HalfOfPair | undefined
  #taken: (() => void) | undefined

  override _read(): void {
    const taken = this.#taken
    this.#taken = undefined
    taken?.()
  }

  override _write(chunk: Buffer, _: BufferEncoding, callback: () => void): void {
    const { peer } = this
    if (peer === undefined || peer.destroyed) return callback()
    if (peer.push(Buffer.from(chunk))) callback()
    else peer.#taken = callback
  }

  override _final(callback: () => void): void {
    this.peer?.push(null)
    callback()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    const { peer } = this
    if (peer !== undefined && !peer.destroyed && !peer.readableEnded) {
      peer.push(null)
      process.nextTick(() => peer.destroy())
    }
    callback(error)
  }
}

/**
 * Makes the two ends of a connection in memory, with back-pressure.
 *
 * Destroying one end ends the other, as a closed socket does.
 */
export function makeDuplexPair(highWaterMark = 16 * 1024): [Duplex, Duplex] {
  const one = new HalfOfPair({ highWaterMark })
  const other = new HalfOfPair({ highWaterMark })
  one.peer = other
  other.peer = one
  return [one, other]
}
