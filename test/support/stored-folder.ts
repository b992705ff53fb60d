import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { cairn } from './run-cairn.js'

/** A folder with unusual names, and a repository that has it under the tag `app`. */
export type StoredFolder = {
  readonly folder: string
  readonly source: string
  readonly repo: string
  readonly digest: string
}

/** A name that is not UTF-8 and would turn a terminal red. */
export const rudeName = Buffer.from('\xff\x1b[31mrude', 'latin1')
/** How it is shown. */
export const rudeText = '\\xff\\x1b[31mrude'

/** Makes the folder in the test's own one, and stores it through the command line. */
export async function storeFolder(t: Test): Promise<StoredFolder> {
  const folder = t.testdir()
  const source = join(folder, 'source')
  const repo = join(folder, 'repo')
  makeSource(source)
  expectSuccess(t, await cairn(['init'], { repo }))
  const stored = await cairn(['store', source, '-t', 'app', '--quiet'], { repo })
  expectSuccess(t, stored)
  return { folder, source, repo, digest: stored.stdout.trim() }
}

function makeSource(source: string): void {
  mkdirSync(join(source, 'etc'), { recursive: true, mode: 0o755 })
  writeFileSync(join(source, 'etc', 'name'), 'host\n', { mode: 0o644 })
  linkSync(join(source, 'etc', 'name'), join(source, 'etc', 'other-name'))
  writeFileSync(join(source, 'run'), '#!/bin/sh\n', { mode: 0o755 })
  writeFileSync(Buffer.concat([Buffer.from(`${source}/`), rudeName]), 'rude')
  symlinkSync('etc/name', join(source, 'link'))
}

function expectSuccess(
  t: Test,
  { code, stderr }: { readonly code: number | null; readonly stderr: string },
): void {
  t.equal(code, 0, stderr)
}
