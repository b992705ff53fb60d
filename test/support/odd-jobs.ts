/** What is told to a thread for tests of threads. */
export type OddJob =
  | { readonly kind: 'echo'; readonly value: unknown }
  | { readonly kind: 'read'; readonly path: string }
  | { readonly kind: 'throw'; readonly what: 'own' | 'value' | 'unfit' }
  | { readonly kind: 'until cancelled' }
  | { readonly kind: 'die'; readonly by: 'exit' | 'error' }

/** What the thread starts with: marks are numbers that it counts up and its starter sees. */
export type OddStart = { readonly marks: Int32Array; readonly fails: boolean }

/** Places of the marks. */
export const marks = { begun: 0, ended: 1 } as const
