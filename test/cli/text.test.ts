import t from 'tap'
import { formatJson } from '../../cli/json.js'
import {
  counted,
  formatBytes,
  formatSeconds,
  formatTable,
  printable,
} from '../../cli/text.js'

t.test('escapes what a terminal would act on, and leaves escapes alone', async t => {
  t.equal(printable('a\x1b[2Jb\\x00c\u202e'), 'a\\x1b[2Jb\\x00c\\xe2\\x80\\xae')
})

t.test('formats bytes, counts and time spans for people', async t => {
  t.equal(formatBytes(0), '0 B')
  t.equal(formatBytes(1023), '1023 B')
  t.equal(formatBytes(1536n), '1.5 KiB')
  t.equal(formatBytes(2n ** 63n), '8.0 EiB')
  t.equal(counted(1, 'object'), '1 object')
  t.equal(counted(2n, 'entry', 'entries'), '2 entries')
  t.equal(formatSeconds(7.4), '0:07')
  t.equal(formatSeconds(750), '12:30')
  t.equal(formatSeconds(3723), '1:02:03')
})

t.test('pads all columns but the last', async t => {
  t.equal(
    formatTable([
      ['a', 'bb', 'c'],
      ['aaa', 'b', 'cc'],
    ]),
    'a    bb  c\naaa  b   cc\n',
  )
})

t.test('writes exact integers as numbers, larger ones as strings', async t => {
  t.equal(
    formatJson({ small: 5n, large: 2n ** 60n, none: undefined }),
    '{"small":5,"large":"1152921504606846976"}',
  )
})
