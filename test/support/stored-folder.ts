import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { storeApplication } from '../../lib/tree/source/store-application.js'
import { makeRepository } from './scratch-repository.js'

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

/** Makes the folder in the test's own one, and stores it. */
export async function storeFolder(t: Test): Promise<StoredFolder> {
  const folder = t.testdir()
  const source = join(folder, 'source')
  makeSource(source)
  const repository = await makeRepository(folder)
  await using session = await repository.begin({
    purpose: 'store',
    publishing: 'gradual',
  })
  const { descriptor } = await storeApplication(source, session.objects)
  await session.objects.publish([descriptor.digest])
  await repository.tags.set('app', descriptor)
  return { folder, source, repo: repository.root, digest: descriptor.digest }
}

function makeSource(source: string): void {
  mkdirSync(join(source, 'etc'), { recursive: true, mode: 0o755 })
  writeFileSync(join(source, 'etc', 'name'), 'host\n', { mode: 0o644 })
  linkSync(join(source, 'etc', 'name'), join(source, 'etc', 'other-name'))
  writeFileSync(join(source, 'run'), '#!/bin/sh\n', { mode: 0o755 })
  writeFileSync(Buffer.concat([Buffer.from(`${source}/`), rudeName]), 'rude')
  symlinkSync('etc/name', join(source, 'link'))
}
