import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { DriverName } from '../../../lib/snapshot/driver/snapshot-driver.js'
import { openSnapshotter } from '../../../lib/snapshot/open-snapshotter.js'
import { SnapshotClient } from '../../../server/grpc/snapshot-client.js'
import { SnapshotServer } from '../../../server/grpc/snapshot-server.js'
import { testSnapshotterContract } from '../../support/snapshots/contract.js'
import { socketFolder } from '../../support/snapshots/socket-folder.js'
import type { MakeSubject, Subject } from '../../support/snapshots/subject.js'

const skip = process.getuid?.() === 0 ? false : 'only root may mount'

for (const driver of ['overlay', 'native'] as const) {
  t.test(`the driver ${driver} keeps the contract`, { skip }, async t => {
    await testSnapshotterContract(t, makeServed(driver))
  })
}

function makeServed(driver: DriverName): MakeSubject {
  return async (t: Test): Promise<Subject> => {
    const folder = t.testdir({})
    const root = join(folder, 'root')
    const sockets = socketFolder(t)
    const start = async () => {
      const snapshotter = await openSnapshotter(root, { driver, contentSync: 'none' })
      const server = await SnapshotServer.listen({
        snapshotter,
        socket: join(sockets, 'socket'),
      })
      const client = new SnapshotClient(server.socket)
      return {
        client,
        stop: async () => {
          await client.close()
          await server.close()
          await snapshotter.close()
        },
      }
    }
    let running = await start()
    t.teardown(() => running.stop())
    return {
      snapshotter: running.client,
      driver,
      root,
      folder,
      reopen: async () => {
        await running.stop()
        running = await start()
        return running.client
      },
    }
  }
}
