/** A head, then a pack: what pulls answer and pushes send. */
export const transferType = 'application/vnd.cairn.transfer'

/** Deterministic CBOR. */
export const cborType = 'application/cbor'

/** A row of digests, or of bits. */
export const bytesType = 'application/octet-stream'

export const jsonType = 'application/json'
