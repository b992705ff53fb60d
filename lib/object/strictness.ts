/**
 * How much a decoder demands (format section 5).
 *
 * `strict` is for what comes from a peer or is about to be written: exactly one form of
 * bytes is accepted. `tolerant` is for what already lies in a store that another program
 * may have filled: what can be understood without ambiguity is read.
 */
export type Strictness = 'strict' | 'tolerant'
