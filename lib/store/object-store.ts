import type { Algorithm } from '../object/algorithm.js'
import type { ObjectLink } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import type { ObjectType } from '../object/object-type.js'
import type { Bitmap } from './bitmap.js'

/** What a store knows of an object without reading it. Size counts the payload only. */
export type ObjectInfo = { readonly type: ObjectType; readonly size: number }

/** A whole small object, verified. */
export type WholeObject = ObjectInfo & {
  readonly digest: Digest
  readonly payload: Buffer
}

/** Payload bytes `offset` to `offset + length`, cut at the end of the payload. */
export type ByteRange = { readonly offset: number; readonly length: number }

/**
 * A payload being read, once, in chunks of at most 1 MiB that are the reader's to keep.
 *
 * A read of the whole payload is verified: the iteration throws CorruptObjectError after
 * the last chunk when the digest differs. A ranged read is not. Disposing, or leaving the
 * iteration, closes it.
 */
export type ObjectStream = ObjectInfo & AsyncIterable<Uint8Array> & AsyncDisposable

/**
 * Reads published objects.
 *
 * Calls take batches, since a promise an object would cost more than the object.
 */
export interface ObjectReader {
  /**
   * Which of the digests are present: bit n for digest n.
   *
   * What is present may still turn out corrupt when it is read. Where the store can tell
   * cheaply that what it holds is no object at all, has and stat say absent, so that it
   * is stored anew.
   */
  has(digests: readonly Digest[]): Promise<Bitmap>

  /** Type and size of each object, in order; undefined where it is absent. */
  stat(digests: readonly Digest[]): Promise<readonly (ObjectInfo | undefined)[]>

  /**
   * Reads whole objects, in order, each verified.
   *
   * Meant for headers, directories and applications, and files that are known to be
   * small. Throws ObjectNotFoundError, CorruptObjectError, or LimitExceededError for a
   * payload above maxMetadataBytes (received-object.ts).
   */
  read(digests: readonly Digest[]): Promise<readonly WholeObject[]>

  /**
   * Opens one payload of any size; throws ObjectNotFoundError, CorruptObjectError, or
   * InvalidArgumentError for a range below 0. The caller disposes it, or reads it.
   */
  open(digest: Digest, range?: ByteRange): Promise<ObjectStream>

  /**
   * Forgets what may have been removed meanwhile by others; called under the repository's
   * exclusive lock before something new may name an object. Absent where nothing is kept.
   */
  refresh?(): void

  /**
   * Starts to place payloads in files, for whoever reads and verifies them by itself.
   * Absent where objects do not lie in files as they are.
   */
  locator?(): PayloadLocator
}

/** A payload that lies as it is in an open file. */
export type PayloadPlace = ObjectInfo & { readonly fd: number; readonly offset: number }

/** Places payloads in files, which stay open and whole until it is disposed. */
export interface PayloadLocator extends Disposable {
  /** Undefined for what is absent, and for what does not lie there as it is. */
  find(digest: Digest): PayloadPlace | undefined
}

/**
 * A place where objects live.
 *
 * Disposing closes the files that reading keeps open: nothing can be read or begun
 * afterwards, but streams that are open go on. Disposing twice is harmless.
 */
export interface ObjectStore extends ObjectReader, Disposable {
  /**
   * Every published digest that starts with `prefix` (lower-case hex; any other text
   * matches none), in batches, each once, ascending within one algorithm. What is
   * published meanwhile may be given or not.
   */
  list(prefix?: string): AsyncIterable<readonly Digest[]>

  /** Starts to add objects; the caller disposes the session. */
  begin(options: StoreSessionOptions): Promise<StoreSession>
}

/**
 * When a session's objects become visible to others (architecture: closure invariant).
 *
 * `gradual`: committed objects may be published at any time, in the order of commits, so
 * the caller must commit children before parents. `whole`: nothing is visible before
 * publish().
 */
export type Publishing = 'gradual' | 'whole'

/** Runs what makes objects visible to others, once. */
export type PublishingGuard = (publish: () => Promise<void>) => Promise<void>

/** How a session works. */
export type StoreSessionOptions = {
  /** Digests of objects that do not name an algorithm themselves. */
  readonly algorithm: Algorithm
  /** An existing folder of this session's own, on the store's filesystem. */
  readonly folder: string
  readonly publishing: Publishing
  /**
   * `new`, the default, refuses what is not in its strict form; `stored` takes whatever
   * another store holds already.
   */
  readonly accepts?: 'new' | 'stored'
  /**
   * Runs each publishing, for example under a lock. When it throws without running it,
   * nothing was published, and publishing may be tried again.
   */
  readonly guard?: PublishingGuard
  /**
   * Leaves in the folder what was committed and not published, for a later session that
   * reads it with readLeftPacks; only stores of packs can. The folder is the caller's to
   * remove.
   */
  readonly keep?: boolean
}

/** A small object to be stored. */
export type NewObject = {
  readonly type: ObjectType
  readonly payload: Uint8Array
  /** Instead of the session's. */
  readonly algorithm?: Algorithm
  /**
   * The object's digest where the caller has computed it already, over this very payload by
   * this very algorithm: it is believed.
   */
  readonly digest?: Digest
}

/** A payload of any size to be stored. */
export type NewStream = {
  readonly type: ObjectType
  readonly algorithm?: Algorithm
  /** Payload bytes to come, where the caller knows: spares some stores a copy. */
  readonly size?: number
}

/**
 * Adds objects to a store.
 *
 * Headers, directories and applications are checked before they are committed: one that
 * is not in its strict form, or refers to digests of another algorithm than its own, is
 * refused with InvalidObjectError, one whose totals do not fit their fields with
 * NotRepresentableError, one above maxMetadataBytes with LimitExceededError. A full disk
 * is StorageFullError.
 *
 * When making things durable failed, in publish or while publishing gradually, the
 * session is abandoned: nothing of it is retried, it only takes its disposal.
 *
 * Disposing discards what was not published; it leaves no file behind. Writers and held
 * objects of the session end with it.
 */
export interface StoreSession extends AsyncDisposable {
  /** Digests objects that do not name an algorithm themselves. */
  readonly algorithm: Algorithm

  /** Which digests are published, or committed in this session: bit n for digest n. */
  has(digests: readonly Digest[]): Promise<Bitmap>

  /** As ObjectReader.stat, over what is published or committed in this session. */
  stat(digests: readonly Digest[]): Promise<readonly (ObjectInfo | undefined)[]>

  /**
   * As stat, for one object and at once. What others published since the session began may
   * be missed; what is found can be relied on in what this session commits.
   */
  find(digest: Digest): ObjectInfo | undefined

  /**
   * Commits whole small objects in order; what is there already is not written again.
   * When one fails, those before it are committed. Payloads stay the caller's.
   */
  put(batch: readonly NewObject[]): Promise<readonly ObjectLink[]>

  /** Starts a payload of unknown size. */
  stream(object: NewStream): Promise<ObjectWriter>

  /**
   * Publishes everything committed so far, durably: when this returns, data and names
   * survive a power loss. Throws IncompleteClosureError when a root is neither published
   * nor committed; then nothing more was published. May be called again.
   */
  publish(roots: readonly Digest[]): Promise<void>
}

/**
 * Writes one payload. Ends with commit, hold or cancel; disposing cancels what has not
 * ended.
 */
export interface ObjectWriter extends AsyncDisposable {
  /** Adds bytes; the chunk is the caller's again when the promise is settled. */
  write(chunk: Uint8Array): Promise<void>

  /** Payload bytes written so far. */
  readonly size: number

  /** Ends the payload and tells its digest; nothing can be written afterwards. */
  digest(): Digest

  /** Ends the payload and keeps it aside until its closure is there. */
  hold(): Promise<HeldObject>

  /** Ends the payload and commits it to the session. */
  commit(): Promise<ObjectLink>

  /** Throws the payload away; harmless when it has ended. */
  cancel(): Promise<void>
}

/**
 * A whole payload of a session that is not committed yet, because its children are not.
 *
 * It is visible to nobody, its session included, until it is committed. One that is
 * neither committed nor cancelled ends with its session.
 */
export interface HeldObject {
  readonly link: ObjectLink
  commit(): Promise<void>
  /** Throws the payload away; harmless when it has ended. */
  cancel(): Promise<void>
}
