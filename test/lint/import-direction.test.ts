import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const project = fileURLToPath(new URL('../../../', import.meta.url))

// What each folder of lib may import from, besides itself: the arrow of ARCHITECTURE.md.
const below: Readonly<Record<string, readonly string[]>> = {
  system: [],
  object: ['system'],
  store: ['object', 'system'],
  closure: ['store', 'object', 'system'],
  repository: ['closure', 'store', 'object', 'system'],
  tree: ['closure', 'store', 'object', 'system'],
  remote: ['repository', 'tree', 'closure', 'store', 'object', 'system'],
  snapshot: ['repository', 'tree', 'closure', 'store', 'object', 'system'],
}

const folders = Object.keys(below)
const outside = ['../../server/index.js', '../../cli/main.js', 'express', 'commander']

type Case = { readonly file: string; readonly source: string }

function importing(from: string, what: string): Case {
  const name = `${from}-${what}`.replaceAll(/[^a-z]+/g, '-')
  return {
    file: `${from}/${name}.ts`,
    source: `import { thing } from '${what}'\n\nexport const use = thing\n`,
  }
}

const rightWay: readonly Case[] = [
  ...folders.flatMap(folder =>
    [`./other.js`, '../errors.js', ...(below[folder] ?? []).map(pathTo)].map(what =>
      importing(`lib/${folder}`, what),
    ),
  ),
  importing('lib', './object/digest.js'),
  importing('server', '../lib/object/digest.js'),
  importing('server', 'express'),
  importing('cli', '../lib/index.js'),
  importing('cli', '../server/index.js'),
  importing('cli', 'commander'),
]

const againstTheArrow: readonly Case[] = [
  ...folders.flatMap(folder =>
    folders
      .filter(other => other !== folder && !(below[folder] ?? []).includes(other))
      .map(other => importing(`lib/${folder}`, pathTo(other))),
  ),
  ...folders.flatMap(folder =>
    [...outside, '../index.js'].map(what => importing(`lib/${folder}`, what)),
  ),
  ...['../server/index.js', '../cli/main.js', 'express', 'commander'].map(what =>
    importing('lib', what),
  ),
  importing('server', '../cli/main.js'),
  importing('server', 'commander'),
]

const variants: readonly Case[] = [
  {
    file: 'lib/object/type-only.ts',
    source: `import type { Thing } from '../store/x.js'\n\nexport type Use = Thing\n`,
  },
  {
    file: 'lib/object/re-export.ts',
    source: `export { thing } from '../store/x.js'\n`,
  },
  {
    file: 'lib/object/deeper.ts',
    source: `import { thing } from '../store/room/x.js'\n\nexport const use = thing\n`,
  },
]

const settings: readonly Case[] = ['lib/tree', 'lib', 'server'].flatMap(folder =>
  ['env', 'argv', 'stdout', 'exitCode'].map(property => ({
    file: `${folder}/process-${property.toLowerCase()}.ts`,
    source: `export const found = process.${property}\n`,
  })),
)

t.test('the linter holds the import direction of every folder', async t => {
  const found = lint([...rightWay, ...againstTheArrow, ...variants])
  for (const { file } of [...againstTheArrow, ...variants]) {
    t.ok(found.get(file)?.has('no-restricted-imports'), `refuses ${file}`)
  }
  for (const { file } of rightWay) {
    t.notOk(found.get(file)?.has('no-restricted-imports'), `lets ${file} pass`)
  }
})

t.test('the linter keeps settings and output out of lib and server', async t => {
  const found = lint([
    ...settings,
    { file: 'cli/main.ts', source: 'export const found = process.env\n' },
  ])
  for (const { file } of settings) {
    t.ok(found.get(file)?.has('no-restricted-properties'), `refuses ${file}`)
  }
  t.notOk(found.get('cli/main.ts')?.has('no-restricted-properties'))
})

t.test('every folder of lib has its place in the arrow', async t => {
  const { overrides } = JSON.parse(
    readFileSync(join(project, '.oxlintrc.json'), 'utf8'),
  ) as { overrides: readonly { files: readonly string[] }[] }
  const covered = overrides.flatMap(({ files }) => files)
  for (const folder of folders) t.ok(covered.includes(`lib/${folder}/**`), folder)
  const present = readdirSync(join(project, 'lib'), { withFileTypes: true })
  for (const entry of present) {
    if (entry.isDirectory()) t.ok(folders.includes(entry.name), entry.name)
  }
})

function pathTo(folder: string): string {
  return `../${folder}/x.js`
}

/** Lints files in a place of their own under the project's rules: rules broken by file. */
function lint(cases: readonly Case[]): ReadonlyMap<string, ReadonlySet<string>> {
  // Not a folder of the project's: the linter passes over those that git ignores.
  const folder = mkdtempSync(join(tmpdir(), 'cairn-lint-'))
  try {
    const config = JSON.parse(
      readFileSync(join(project, '.oxlintrc.json'), 'utf8'),
    ) as object
    const rules = { ...config, options: { typeAware: false } }
    writeFileSync(join(folder, '.oxlintrc.json'), JSON.stringify(rules))
    writeFileSync(join(folder, '.gitignore'), 'node_modules\n')
    for (const { file, source } of cases) {
      mkdirSync(dirname(join(folder, file)), { recursive: true })
      writeFileSync(join(folder, file), source)
    }
    return rulesBroken(runLinter(folder))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function runLinter(folder: string): string {
  // Not its bin: the test runner's loaders cannot start a file without extension.
  const linter = join(project, 'node_modules/oxlint/dist/cli.js')
  const tops = ['lib', 'server', 'cli']
  for (const top of tops) mkdirSync(join(folder, top), { recursive: true })
  try {
    return execFileSync(process.execPath, [linter, '--format=json', ...tops], {
      cwd: folder,
      encoding: 'utf8',
      maxBuffer: 64 << 20,
    })
  } catch (error) {
    // A linter that finds something exits with 1 after its report.
    if (error instanceof Error && 'stdout' in error && 'status' in error) {
      if (error.status === 1) return String(error.stdout)
    }
    throw error
  }
}

function rulesBroken(report: string): ReadonlyMap<string, ReadonlySet<string>> {
  const { diagnostics } = JSON.parse(report) as {
    diagnostics: readonly { code: string; filename: string }[]
  }
  const broken = new Map<string, Set<string>>()
  for (const { code, filename } of diagnostics) {
    const rules = broken.get(filename) ?? new Set()
    rules.add(code.replace(/^.*\((.*)\)$/, '$1'))
    broken.set(filename, rules)
  }
  return broken
}
