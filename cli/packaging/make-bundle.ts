import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, build } from 'esbuild'
import { programName } from './start.js'

/*
 * Makes dist/bin of dist: the program in one file, those of its threads and children in one
 * each, and a code cache. One file spares the start some seventy others.
 */
const dist = fileURLToPath(new URL('../..', import.meta.url))
const bin = join(dist, 'bin')
const start = join(bin, 'main.js')

/** What the program starts as threads and processes, by their names beside it. */
const children = [
  'lib/repository/check/scan-worker.js',
  'lib/tree/source/ahead/reading-worker.js',
  'lib/snapshot/layer/layer-worker.js',
  'lib/tree/checkout/batch-worker.js',
  'server/auth/password-worker.js',
  'server/operations/collection-child.js',
]

const options: BuildOptions = {
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
  logLevel: 'warning',
  define: {
    'import.meta.url': 'importMetaUrl',
    'import.meta.resolve': 'importMetaResolve',
  },
  banner: {
    js: [
      'const importMetaUrl = require("node:url").pathToFileURL(__filename).href;',
      'const importMetaResolve = name => require("node:url").pathToFileURL(',
      'require("node:module").createRequire(importMetaUrl.replace(/bin\\/[^/]*$/, ""))',
      '.resolve(name)).href;',
    ].join(' '),
  },
}

async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    ...options,
    entryPoints: [join(dist, entry)],
    outfile: join(bin, outfile),
  })
}

/** Runs commands as users do, so that what they need is in the code cache. */
function train(): void {
  const folder = mkdtempSync(join(tmpdir(), 'cairn-train-'))
  const repo = join(folder, 'repository')
  const copy = join(folder, 'copy')
  const source = join(dist, 'cli')
  const commands = [
    ['init'],
    ['store', source, '--tag', 'trained'],
    ['store', source, '--tag', 'trained'],
    ['tag', 'list'],
    ['ls', 'trained'],
    ['checkout', 'trained', copy],
    ['fsck'],
  ]
  try {
    for (const command of commands) {
      const trainer = join(bin, 'train.js')
      const args = [trainer, start, '--quiet', '--repo', repo, ...command]
      execFileSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

rmSync(bin, { recursive: true, force: true })
mkdirSync(bin)
writeFileSync(join(bin, 'package.json'), '{ "type": "commonjs" }\n')
await bundle('cli/main.js', programName)
for (const child of children) await bundle(child, child.slice(child.lastIndexOf('/') + 1))
await bundle('cli/packaging/main.js', 'main.js')
await bundle('cli/packaging/train.js', 'train.js')
train()
rmSync(join(bin, 'train.js'))
chmodSync(start, 0o755)
