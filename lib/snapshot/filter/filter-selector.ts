/** One condition of a filter; texts are bytes, each as one character. */
export type FilterSelector = {
  /** Names a field: `['labels', 'a', 'b']` is the label `a.b`. */
  readonly path: readonly string[]
  readonly condition:
    | { readonly kind: 'present' }
    | { readonly kind: 'equal' | 'different' | 'matching'; readonly value: string }
}
