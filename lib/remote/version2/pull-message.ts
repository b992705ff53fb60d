import { type CborValue, encodeCbor } from '../../object/canonical-cbor.js'
import { type Descriptor, encodeDescriptor } from '../../object/descriptor.js'
import { type Digest, digestBytes } from '../../object/digest.js'
import { type Codec, codecs as knownCodecs } from '../../store/pack/pack-format.js'
import { decodeDigestRow, encodeDigestRow } from './digest-row.js'
import { HeadValues } from './head-values.js'
import { decodeMembers, type HeadMembers, invalidTransfer } from './transfer-head.js'

/** Bounds of one pull request. */
export const pullLimits = {
  wants: 64,
  haves: 256,
  knownObjects: 1_000_000,
  /** Bytes of the whole request: 65 a digest, and some room. */
  requestBytes: 66 * 1024 * 1024,
} as const

/** What a client asks for in one request. */
export type PullRequest = {
  /** Tags, `TAG@{n}`, or digests. */
  readonly wants: readonly string[]
  /** Objects that the client holds with everything below them. */
  readonly haves: readonly Digest[]
  /** As haves, but named one by one: what an interrupted pull left. */
  readonly known: readonly Digest[]
  /** How payloads may be coded besides `raw`. */
  readonly codecs: readonly Codec[]
  /** Only count what would be sent. */
  readonly plan: boolean
}

/** What a server says before it sends objects. */
export type PullAnswer = {
  /** What the wants name, in their order. */
  readonly roots: readonly Descriptor[]
  /** For each want, how often the tag has moved; undefined for what is no tag. */
  readonly sequences: readonly (bigint | undefined)[]
  /** The haves that the server holds too, and left out with everything below them. */
  readonly haves: readonly Digest[]
  /** What would be sent; only for a plan. */
  readonly plan?: TransferPlan
}

/** What a transfer would move. */
export type TransferPlan = {
  readonly objects: number
  /** Payload bytes, not compressed. */
  readonly bytes: number
  /** Payload bytes as they would travel. */
  readonly storedBytes: number
}

/*
 * Request, deterministic CBOR: 1 wants: array of text; 2 haves: array of digests;
 * 3 codecs: array of text; 4 known: a row of digests; 5 plan: 1. All but 1 may be left out.
 */
export function encodePullRequest(request: PullRequest): Buffer {
  const { wants, haves, known, codecs, plan } = request
  const members: [number, CborValue][] = [[1, [...wants]]]
  if (haves.length > 0) members.push([2, haves.map(digest => digestBytes(digest))])
  if (codecs.length > 0) members.push([3, [...codecs]])
  if (known.length > 0) members.push([4, encodeDigestRow(known)])
  if (plan) members.push([5, 1])
  return encodeCbor(new Map(members))
}

/** Decodes a pull request; throws InvalidObjectError. */
export function decodePullRequest(bytes: Uint8Array): PullRequest {
  const where = 'request'
  const values = new HeadValues(decodeMembers(bytes, where), where)
  const wants = values.row(1, pullLimits.wants, values.asText)
  const haves = values.row(2, pullLimits.haves, values.asDigest)
  const codecs = values.row(3, knownCodecs.length, values.asText)
  const known = decodeDigestRow(
    values.bytes(4) ?? Buffer.alloc(0),
    pullLimits.knownObjects,
  )
  const plan = values.number(5) ?? 0
  values.end()
  if (wants.length === 0) throw invalidTransfer(where, 'nothing is wanted')
  if (plan > 1) throw invalidTransfer(where, `expected 1 at key 5, found ${plan}`)
  return {
    wants,
    haves,
    known,
    // A newer client may know codecs that we do not: it gets what both know.
    codecs: knownCodecs.filter(codec => codecs.includes(codec)),
    plan: plan === 1,
  }
}

/*
 * Answer: 1 roots: array of descriptors; 2 sequences: array of numbers, 0 for what is no
 * tag; 3 haves: array of digests; 4 plan: [objects, bytes, stored bytes].
 */
export function pullAnswerMembers(answer: PullAnswer): HeadMembers {
  const { roots, sequences, haves, plan } = answer
  const members: [number, CborValue][] = [
    [1, roots.map(root => encodeDescriptor(root))],
    [2, sequences.map(sequence => sequence ?? 0)],
  ]
  if (haves.length > 0) members.push([3, haves.map(digest => digestBytes(digest))])
  if (plan) members.push([4, [plan.objects, plan.bytes, plan.storedBytes]])
  return new Map(members)
}

/** Decodes a pull answer; throws InvalidObjectError. */
export function decodePullAnswer(members: HeadMembers, where: string): PullAnswer {
  const values = new HeadValues(members, where)
  const roots = values.row(1, pullLimits.wants, values.asDescriptor)
  const sequences = values.row(2, pullLimits.wants, values.asNumber)
  const haves = values.row(3, pullLimits.haves, values.asDigest)
  const counts = values.row(4, 3, values.asNumber)
  values.end()
  if (sequences.length !== roots.length) {
    throw invalidTransfer(where, `${roots.length} roots, ${sequences.length} sequences`)
  }
  const [objects, bytes, storedBytes] = counts
  return {
    roots,
    sequences: sequences.map(sequence => (sequence === 0 ? undefined : BigInt(sequence))),
    haves,
    ...(objects !== undefined && bytes !== undefined && storedBytes !== undefined
      ? { plan: { objects, bytes, storedBytes } }
      : {}),
  }
}
