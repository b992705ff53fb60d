import t from 'tap'
import { MemoryStore } from '../../lib/store/memory-store.js'
import { testObjectStore } from '../support/object-store-contract.js'

testObjectStore(t, {
  name: 'MemoryStore',
  open: async () => ({ store: new MemoryStore(), newFolder: () => '' }),
})
