import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'

/** Why images cannot be served here; false when they can. */
export function whyNoRegistry(): string | false {
  const { error } = spawnSync('docker-registry', ['--version'])
  return error === undefined ? false : 'docker-registry is not installed'
}

/** A registry of images on this machine that tells what was asked of it. */
export type ImageRegistry = {
  /** Host and port. */
  readonly address: string
  /** Digests of the blobs that were fetched, in order. */
  readonly fetched: () => string[]
}

/** Starts a registry that keeps its images in a folder; it ends with the test. */
export async function startRegistry(t: Test, folder: string): Promise<ImageRegistry> {
  const address = `127.0.0.1:${await findFreePort()}`
  const config = join(folder, 'registry.yml')
  const storage = { filesystem: { rootdirectory: join(folder, 'registry') } }
  writeFileSync(
    config,
    JSON.stringify({ version: 0.1, storage, http: { addr: address } }),
  )
  const child = spawn('docker-registry', ['serve', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, OTEL_TRACES_EXPORTER: 'none' },
  })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      log += chunk.toString()
    })
  }
  t.teardown(async () => {
    if (child.exitCode !== null) return
    child.kill()
    await once(child, 'exit')
  })
  for (let left = 200; ; left--) {
    const answer = await fetch(`http://${address}/v2/`).catch(() => undefined)
    if (answer?.ok === true) break
    if (left === 0 || child.exitCode !== null) throw new Error(`no registry: ${log}`)
    await delay(50)
  }
  const request = /"GET \/v2\/\S+\/blobs\/(sha256:[0-9a-f]{64})\S* HTTP/g
  const fetched = (): string[] =>
    [...log.matchAll(request)].map(([, digest = '']) => digest)
  return { address, fetched }
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
