import t from 'tap'
import { splitRefPath } from '../../cli/ref-path.js'

t.test('splits at the first colon', async t => {
  t.same(splitRefPath('app'), { ref: 'app', path: undefined })
  t.same(splitRefPath('app:a:b'), { ref: 'app', path: Buffer.from('a:b') })
  t.same(splitRefPath('app@{1}:'), { ref: 'app@{1}', path: Buffer.alloc(0) })
})

t.test('reads escaped bytes in the path', async t => {
  t.same(splitRefPath('app:\\xff\\\\x').path, Buffer.from([0xff, 0x5c, 0x78]))
})
