import { join } from 'node:path'
import type { Test } from 'tap'
import type { DriverName } from '../../../lib/snapshot/driver/snapshot-driver.js'
import { openSnapshotter } from '../../../lib/snapshot/open-snapshotter.js'
import { testFolder } from '../test-folder.js'
import type { MakeSubject, Subject } from './subject.js'

/** Opens a snapshotter in this process on a folder of the test. */
export function makeLocal(driver: DriverName): MakeSubject {
  return async (t: Test): Promise<Subject> => {
    const folder = testFolder(t)
    const root = join(folder, 'root')
    let snapshotter = await openSnapshotter(root, { driver, contentSync: 'none' })
    t.teardown(() => snapshotter.close())
    return {
      snapshotter,
      driver,
      root,
      folder,
      reopen: async () => {
        await snapshotter.close()
        snapshotter = await openSnapshotter(root, { contentSync: 'none' })
        return snapshotter
      },
    }
  }
}
