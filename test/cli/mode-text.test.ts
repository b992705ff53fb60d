import t from 'tap'
import { formatMode, formatPermissions } from '../../cli/mode-text.js'
import { splitDevice } from '../../lib/object/device-number.js'
import { modeOf } from '../../lib/object/file-mode.js'

function shown(...args: Parameters<typeof modeOf>) {
  return formatMode(args[0], modeOf(...args))
}

t.test('shows modes as ls does', async t => {
  t.equal(shown('regular', 0o644), '-rw-r--r--')
  t.equal(shown('regular', 0o4755), '-rwsr-xr-x')
  t.equal(shown('regular', 0o6644), '-rwSr-Sr--')
  t.equal(shown('directory', 0o1777), 'drwxrwxrwt')
  t.equal(shown('directory', 0o1770), 'drwxrwx--T')
  t.equal(shown('symlink', 0o777), 'lrwxrwxrwx')
  t.equal(shown('char-device', 0o666), 'crw-rw-rw-')
  t.equal(shown('block-device', 0o660), 'brw-rw----')
  t.equal(shown('fifo', 0), 'p---------')
  t.equal(shown('socket', 0o755), 'srwxr-xr-x')
})

t.test('shows permissions as chmod takes them', async t => {
  t.equal(formatPermissions(modeOf('regular', 0o4755)), '4755')
  t.equal(formatPermissions(modeOf('directory', 0o7)), '0007')
})

t.test('splits device numbers, large ones too', async t => {
  t.same(splitDevice(0x103), { major: 1, minor: 3 })
  t.same(splitDevice(0x10010301), { major: 259, minor: 65537 & 0xfffff })
  t.same(splitDevice(0xffffffff), { major: 4095, minor: 1048575 })
})
