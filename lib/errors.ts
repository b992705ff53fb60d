import type { ErrorCode } from './error-codes.js'

/** Values that an error may carry: printable as JSON as they are. */
export type ErrorFacts = Readonly<Record<string, string | number | boolean | undefined>>

/**
 * The root of every error that callers can react to.
 *
 * `code` is stable, message texts are not; `facts` holds what the message names, as data.
 */
export abstract class CairnError extends Error {
  abstract readonly code: ErrorCode
  readonly facts: ErrorFacts

  constructor(message: string, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(message, options)
    this.facts = facts
  }

  override get name(): string {
    return this.constructor.name
  }
}

/** An argument of a call that no input could make valid. */
export class InvalidArgumentError extends CairnError {
  readonly code = 'invalid_argument'
}

/** A digest that is short, long, of unknown algorithm or not lower-case hex. */
export class InvalidDigestError extends CairnError {
  readonly code = 'invalid_digest'
}

/** A tag name outside the rule of format section 2.6. */
export class InvalidTagNameError extends CairnError {
  readonly code = 'invalid_tag_name'
}

/** Bytes that are no valid object, descriptor or list. */
export class InvalidObjectError extends CairnError {
  readonly code = 'invalid_object'
}

/** Stored or received bytes whose digest differs from the one that names them. */
export class CorruptObjectError extends CairnError {
  readonly code = 'corrupt_object'
}

/** No object of this digest in the store. */
export class ObjectNotFoundError extends CairnError {
  readonly code = 'object_not_found'
}

/** An object of another type than the caller or a reference named. */
export class WrongObjectTypeError extends CairnError {
  readonly code = 'wrong_object_type'
}

/** A change that says neither what it expects nor that it does not care. */
export class PreconditionMissingError extends CairnError {
  readonly code = 'precondition_missing'
}

/** An object whose closure is not whole in the store. */
export class IncompleteClosureError extends CairnError {
  readonly code = 'incomplete_closure'
}

/** No tag of this name. */
export class TagNotFoundError extends CairnError {
  readonly code = 'tag_not_found'
}

/** A tag that is not where the caller expected it (compare-and-swap failed). */
export class TagConflictError extends CairnError {
  readonly code = 'tag_conflict'
}

/** A tag that is never moved or removed once it is set. */
export class TagProtectedError extends CairnError {
  readonly code = 'tag_protected'
}

/** A tag file or tag log on disk that cannot be read as one. */
export class InvalidTagFileError extends CairnError {
  readonly code = 'invalid_tag_file'
}

/** A reference that names neither a tag nor an object. */
export class RefNotFoundError extends CairnError {
  readonly code = 'ref_not_found'
}

/** A digest prefix that several objects share. */
export class AmbiguousRefError extends CairnError {
  readonly code = 'ambiguous_ref'
}

/** No entry at this path inside a stored tree. */
export class PathNotFoundError extends CairnError {
  readonly code = 'path_not_found'
}

/** No repository at this place. */
export class RepositoryNotFoundError extends CairnError {
  readonly code = 'repository_not_found'
}

/** A repository where none may be. */
export class RepositoryExistsError extends CairnError {
  readonly code = 'repository_exists'
}

/** A repository that another program brought into another layout since it was opened. */
export class RepositoryChangedError extends CairnError {
  readonly code = 'repository_changed'
}

/** A repository whose own files cannot be understood. */
export class InvalidRepositoryError extends CairnError {
  readonly code = 'invalid_repository'
}

/** No remote of this name. */
export class RemoteNotFoundError extends CairnError {
  readonly code = 'remote_not_found'
}

/** A remote of this name exists. */
export class RemoteExistsError extends CairnError {
  readonly code = 'remote_exists'
}

/** A lock that another process holds. */
export class LockBusyError extends CairnError {
  readonly code = 'lock_busy'
}

/** Input beyond a documented bound. */
export class LimitExceededError extends CairnError {
  readonly code = 'limit_exceeded'
}

/** A filesystem entry that the object format cannot hold. */
export class NotRepresentableError extends CairnError {
  readonly code = 'not_representable'
}

/** A filesystem entry that changed, vanished or was swapped while it was read. */
export class SourceChangedError extends CairnError {
  readonly code = 'source_changed'
}

/** A filesystem entry that could not be read; `cause` is the system's error. */
export class SourceUnreadableError extends CairnError {
  readonly code = 'source_unreadable'
}

/** A tar archive that is damaged, cut off, or says what no archive may say. */
export class InvalidArchiveError extends CairnError {
  readonly code = 'invalid_archive'
}

/** A destination folder that cannot or must not be written. */
export class DestinationRefusedError extends CairnError {
  readonly code = 'destination_refused'
}

/** A folder that was changed since a tree was checked out to it; some of that would be lost. */
export class LocalChangesError extends CairnError {
  readonly code = 'local_changes'
}

/** A peer that broke the protocol. */
export class ProtocolViolationError extends CairnError {
  readonly code = 'protocol_violation'
}

/** A connection that could not be made or ended before its exchange was complete. */
export class ConnectionLostError extends CairnError {
  readonly code = 'connection_lost'
}

/** A remote that answered with a refusal. */
export class RemoteRefusedError extends CairnError {
  readonly code = 'remote_refused'
}

/** A peer that was silent for longer than allowed. */
export class TimedOutError extends CairnError {
  readonly code = 'timed_out'
}

/** An action that this server or this user may not do. */
export class AccessRefusedError extends CairnError {
  readonly code = 'access_refused'
}

/** Credentials that are wrong, or missing where something needs them. */
export class UnauthenticatedError extends CairnError {
  readonly code = 'unauthenticated'
}

/** Something that was tried too often; `facts.retryAfterSeconds` tells when it may be again. */
export class RateLimitedError extends CairnError {
  readonly code = 'rate_limited'
}

/** A server with too much to do; the same may succeed a moment later. */
export class BusyError extends CairnError {
  readonly code = 'busy'
}

/** More than a repository may hold on a server. */
export class QuotaExceededError extends CairnError {
  readonly code = 'quota_exceeded'
}

/** No space, quota or inodes left; `cause` is the system's error. */
export class StorageFullError extends CairnError {
  readonly code = 'storage_full'
}

/** A system call that this platform's native part does not offer. */
export class NativeUnavailableError extends CairnError {
  readonly code = 'native_unavailable'
}

/** No snapshot of this key. */
export class SnapshotNotFoundError extends CairnError {
  readonly code = 'snapshot_not_found'
}

/** A snapshot of this key, of whatever kind, exists. */
export class SnapshotExistsError extends CairnError {
  readonly code = 'snapshot_exists'
}

/** A snapshot that others have as their parent. */
export class SnapshotInUseError extends CairnError {
  readonly code = 'snapshot_in_use'
}

/** A snapshot that is of another kind than the call needs. */
export class WrongSnapshotKindError extends CairnError {
  readonly code = 'wrong_snapshot_kind'
}

/** A snapshotter's own files that cannot be understood. */
export class InvalidSnapshotRootError extends CairnError {
  readonly code = 'invalid_snapshot_root'
}

/** A kind of snapshot storage that does not work at this place. */
export class DriverRefusedError extends CairnError {
  readonly code = 'driver_refused'
}
