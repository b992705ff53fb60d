import t from 'tap'
import { resolveSettings } from '../../cli/settings.js'

t.test('takes the flag before the environment before the default', async t => {
  const environment = { CAIRN_REPO: '/env' }
  t.equal(
    resolveSettings({ repo: '/flag' }, environment, '/home/u').repositoryFolder,
    '/flag',
  )
  t.equal(resolveSettings({}, environment, '/home/u').repositoryFolder, '/env')
  t.equal(resolveSettings({}, environment, '/home/u').repositoryFrom, 'environment')
  t.equal(resolveSettings({ repo: '/flag' }, environment, '').repositoryFrom, 'flag')
  const settled = resolveSettings({}, {}, '/home/u')
  t.equal(settled.repositoryFolder, '/home/u/.local/share/cairn')
  t.equal(settled.repositoryFrom, 'default')
})

function folder(dataHome: string) {
  return resolveSettings({}, { XDG_DATA_HOME: dataHome }, '/home/u').repositoryFolder
}

t.test('follows XDG_DATA_HOME only where it is absolute', async t => {
  t.equal(folder('/data'), '/data/cairn')
  t.equal(folder('data'), '/home/u/.local/share/cairn')
  t.equal(folder(''), '/home/u/.local/share/cairn')
})

t.test('counts an empty CAIRN_REPO as none', async t => {
  t.equal(resolveSettings({}, { CAIRN_REPO: '' }, '/home/u').repositoryFrom, 'default')
})
