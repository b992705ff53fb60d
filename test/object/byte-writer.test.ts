import t from 'tap'
import { ByteWriter } from '../../lib/object/byte-writer.js'

t.test('grows in the middle of any field', async t => {
  for (let estimate = 0; estimate < 40; estimate++) {
    const writer = new ByteWriter(estimate)
      .u8(1)
      .u16(0x0302)
      .u32(0x0706_0504, 'count')
      .u64(0x0f0e_0d0c_0b0a_0908n, 'total')
      .size(0x17_1615_1413_1211, 'size')
      .prefixed(Buffer.from('name'), 'name')
      .u8(255)
    t.equal(
      writer.finish().toString('hex'),
      '0102030405060708090a0b0c0d0e0f111213141516170004006e616d65ff',
      `an estimate of ${estimate} bytes`,
    )
  }
})
