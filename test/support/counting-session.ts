import type { StoreSession } from '../../lib/store/object-store.js'

/** A session that counts the files whose content it is given. */
export type CountingSession = StoreSession & { readonly contents: number }

/** Counts the files whose content a session is given. */
export function countContents(session: StoreSession): CountingSession {
  let contents = 0
  return {
    get contents() {
      return contents
    },
    algorithm: session.algorithm,
    has: async digests => session.has(digests),
    stat: async digests => session.stat(digests),
    find: digest => session.find(digest),
    put: async batch => {
      contents += batch.filter(({ type }) => type === 'file').length
      return session.put(batch)
    },
    stream: async object => {
      contents++
      return session.stream(object)
    },
    publish: async roots => session.publish(roots),
    [Symbol.asyncDispose]: async () => session[Symbol.asyncDispose](),
  }
}
