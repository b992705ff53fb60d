/** What one error code means to the two outer surfaces. */
export type ErrorReaction = {
  /** HTTP status of a response that carries the error (RFC 9457 problem). */
  readonly httpStatus: number
  /** Exit code of the command line. */
  readonly exitCode: number
}

/**
 * Every stable error code with its HTTP status and exit code: the only such table.
 *
 * Exit codes: 1 unexpected, 2 usage, 3 not found, 4 conflict or busy, 5 corrupt or
 * hostile data, 6 refused, 7 remote or network, 8 resources exhausted, 9 source or
 * destination on the filesystem, 130 interrupted.
 */
export const errorCodes = {
  invalid_argument: { httpStatus: 400, exitCode: 2 },
  invalid_digest: { httpStatus: 400, exitCode: 2 },
  invalid_tag_name: { httpStatus: 400, exitCode: 2 },
  invalid_object: { httpStatus: 422, exitCode: 5 },
  corrupt_object: { httpStatus: 500, exitCode: 5 },
  object_not_found: { httpStatus: 404, exitCode: 3 },
  wrong_object_type: { httpStatus: 409, exitCode: 5 },
  incomplete_closure: { httpStatus: 409, exitCode: 5 },
  tag_not_found: { httpStatus: 404, exitCode: 3 },
  tag_conflict: { httpStatus: 412, exitCode: 4 },
  invalid_tag_file: { httpStatus: 500, exitCode: 5 },
  ref_not_found: { httpStatus: 404, exitCode: 3 },
  ambiguous_ref: { httpStatus: 409, exitCode: 2 },
  path_not_found: { httpStatus: 404, exitCode: 3 },
  repository_not_found: { httpStatus: 404, exitCode: 3 },
  repository_exists: { httpStatus: 409, exitCode: 4 },
  repository_changed: { httpStatus: 503, exitCode: 4 },
  invalid_repository: { httpStatus: 500, exitCode: 5 },
  remote_not_found: { httpStatus: 404, exitCode: 3 },
  remote_exists: { httpStatus: 409, exitCode: 4 },
  lock_busy: { httpStatus: 503, exitCode: 4 },
  limit_exceeded: { httpStatus: 413, exitCode: 5 },
  not_representable: { httpStatus: 422, exitCode: 9 },
  source_changed: { httpStatus: 409, exitCode: 9 },
  source_unreadable: { httpStatus: 409, exitCode: 9 },
  invalid_archive: { httpStatus: 422, exitCode: 5 },
  destination_refused: { httpStatus: 409, exitCode: 9 },
  protocol_violation: { httpStatus: 400, exitCode: 7 },
  connection_lost: { httpStatus: 502, exitCode: 7 },
  remote_refused: { httpStatus: 502, exitCode: 7 },
  timed_out: { httpStatus: 504, exitCode: 7 },
  access_refused: { httpStatus: 403, exitCode: 6 },
  storage_full: { httpStatus: 507, exitCode: 8 },
  native_unavailable: { httpStatus: 501, exitCode: 8 },
} as const satisfies Record<string, ErrorReaction>

/** A stable error code: part of the public interface, unlike message texts. */
export type ErrorCode = keyof typeof errorCodes
