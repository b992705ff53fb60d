import { closeSync, openSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { holeBytes, SparseWriter } from '../../../lib/tree/checkout/sparse-writer.js'

t.test('gives the bytes that were written, however they were cut', async t => {
  const folder = t.testdir({})
  let count = 0
  const lengths = fc.constantFrom(1, 5, 4096, holeBytes - 1, holeBytes, holeBytes * 2 + 7)
  const run = fc.record({ length: lengths, byte: fc.constantFrom(0, 1) })
  fc.assert(
    fc.property(
      fc.array(run, { maxLength: 8 }),
      fc.integer({ min: 1, max: 100_000 }),
      (runs, cut) => {
        const bytes = Buffer.concat(
          runs.map(({ length, byte }) => Buffer.alloc(length, byte)),
        )
        const path = join(folder, String(count++))
        const fd = openSync(path, 'w')
        const writer = new SparseWriter(fd)
        for (let at = 0; at < bytes.length; at += cut)
          writer.write(bytes.subarray(at, at + cut))
        writer.end()
        closeSync(fd)
        return writer.size === bytes.length && readFileSync(path).equals(bytes)
      },
    ),
    { numRuns: 200 },
  )
})

t.test('leaves holes also where chunks cut them', async t => {
  const path = join(t.testdir({}), 'f')
  const fd = openSync(path, 'w')
  const writer = new SparseWriter(fd)
  for (let at = 0; at < 100; at++) writer.write(Buffer.alloc(99_999))
  writer.end()
  closeSync(fd)
  const { size, blocks } = statSync(path)
  t.equal(size, 9_999_900)
  t.ok(blocks * 512 <= holeBytes, `${blocks} blocks`)
})
