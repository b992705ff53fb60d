import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Tool } from './tool.js'

const program = fileURLToPath(new URL('../bin/main.js', import.meta.url))
const cairn = `${process.execPath} ${program}`

/** This program, with the storage that `init` is told to make. */
function cairnWith(name: string, flags: string): Tool {
  return {
    name,
    program: process.execPath,
    durable: true,
    rival: false,
    environment: ({ repo }) => `export CAIRN_REPO=${repo}`,
    init: () => `${cairn} init ${flags}`,
    store: ({ tree }) => `${cairn} store ${tree} -t first`,
    upgrade: ({ next }) => `${cairn} store ${next} -t second`,
    checkout: ({ out }) => `${cairn} checkout first ${out}`,
    ...(canUpdate() && {
      update: ({ out }) => `${cairn} checkout --update second ${out}`,
    }),
    verify: () => `${cairn} fsck`,
    // A removed tag is in its log, whose last entries are kept for a while.
    forget: ({ repo }) => `${cairn} tag remove first && rm ${repo}/logs/tags/first`,
    collect: () => `${cairn} gc --now`,
  }
}

function canUpdate(): boolean {
  const help = execFileSync(process.execPath, [program, 'checkout', '--help'])
  return help.includes('--update')
}

export const cairnTools: readonly Tool[] = [
  cairnWith('cairn', ''),
  cairnWith('cairn zstd:3', '--compression zstd:3'),
]
