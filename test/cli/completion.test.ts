import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { bashCompletion } from '../../cli/completion/bash.js'
import { describeCommands } from '../../cli/completion/completion-model.js'
import { fishCompletion } from '../../cli/completion/fish.js'
import { zshCompletion } from '../../cli/completion/zsh.js'
import { createProgram } from '../../cli/program.js'

const commands = describeCommands(createProgram('0.0.0', async () => {}))
const scripts = {
  bash: bashCompletion(commands),
  zsh: zshCompletion(commands),
  fish: fishCompletion(commands),
}

function hasShell(shell: string): boolean {
  return spawnSync(shell, ['-c', 'exit 0']).status === 0
}

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  const skip = hasShell(shell) ? false : `${shell} is not installed`
  t.test(`prints what ${shell} can parse`, { skip }, async t => {
    const path = join(t.testdir(), 'script')
    writeFileSync(path, scripts[shell])
    const parsed = spawnSync(shell, ['-n', path], { encoding: 'utf8' })
    t.equal(parsed.stderr, '')
    t.equal(parsed.status, 0)
  })
}

t.test('knows every command and no hidden one', async t => {
  const paths = commands.map(({ path }) => path)
  for (const path of ['', 'init', 'store', 'tag restore', 'remote tags', 'completion']) {
    t.ok(paths.includes(path), path)
  }
  t.notMatch(paths.join(), /__complete/)
})

t.test('offers in bash what may follow', { skip: !hasShell('bash') }, async t => {
  const cases: [string[], string[]][] = [
    [['sto'], ['store']],
    [
      ['tag', ''],
      ['list', 'set', 'remove', 'log', 'restore', 'protect', 'unprotect', 'protected'],
    ],
    [
      ['tag', 'set', ''],
      ['app', 'stable'],
    ],
    [['tag', 'set', 'new', 'st'], ['stable']],
    [['push', ''], ['origin']],
    [['push', '--as', 'x', 'origin', 'a'], ['app']],
    [['init', '--algorithm', 'blake'], ['blake3']],
    [['init', '--algorithm', '=', 'blake'], ['blake3']],
    [['checkout', '--fo'], ['--force']],
    [
      ['--quiet', 'show', ''],
      ['app', 'stable'],
    ],
    [['--repo', '/r', 'show', ''], ['in-r']],
    [['show', '--js'], ['--json']],
    [['completion', 'f'], ['fish']],
    [['tag', 'list', ''], []],
  ]
  for (const [words, expected] of cases) {
    t.same(completeInBash(t, words), expected, `cairn ${words.join(' ')}`)
  }
})

t.test(
  'offers files in bash where a path is due',
  { skip: !hasShell('bash') },
  async t => {
    const found = completeInBash(t, ['store', ''], { 'a file': '', folder: {} })
    t.same(found.toSorted(), ['a file', 'folder'])
  },
)

function completeInBash(
  t: Test,
  words: readonly string[],
  files: NonNullable<Parameters<Test['testdir']>[0]> = {},
): string[] {
  const folder = t.testdir({ script: scripts.bash, in: files })
  const program = `
    source ../script
    cairn() {
      [[ $1 == --repo ]] && { echo in-r; return; }
      case $2 in tags) printf '%s\\n' app stable ;; remotes) echo origin ;; esac
    }
    COMP_WORDS=(cairn "$@")
    COMP_CWORD=$#
    _cairn
    ((\${#COMPREPLY[@]} == 0)) || printf '%s\\n' "\${COMPREPLY[@]}"
  `
  const run = spawnSync('bash', ['-c', program, 'bash', ...words], {
    cwd: join(folder, 'in'),
    encoding: 'utf8',
  })
  t.equal(run.stderr, '')
  return run.stdout.split('\n').filter(line => line !== '')
}
