/** What one error code means to the three outer surfaces. */
export type ErrorReaction = {
  /** HTTP status of a response that carries the error (RFC 9457 problem). */
  readonly httpStatus: number
  /** Status code of a gRPC call that fails with the error. */
  readonly grpcStatus: number
  /** Exit code of the command line. */
  readonly exitCode: number
}

/**
 * Every stable error code with its HTTP status, gRPC status and exit code: the only such
 * table.
 *
 * gRPC statuses: 3 invalid argument, 4 deadline exceeded, 5 not found, 6 already exists,
 * 7 permission denied, 8 resource exhausted, 9 failed precondition, 10 aborted,
 * 12 unimplemented, 14 unavailable, 15 data loss, 16 unauthenticated.
 *
 * Exit codes: 1 unexpected, 2 usage, 3 not found, 4 conflict or busy, 5 corrupt or
 * hostile data, 6 refused, 7 remote or network, 8 resources exhausted, 9 source or
 * destination on the filesystem, 130 interrupted.
 */
export const errorCodes = {
  invalid_argument: { httpStatus: 400, grpcStatus: 3, exitCode: 2 },
  invalid_digest: { httpStatus: 400, grpcStatus: 3, exitCode: 2 },
  invalid_tag_name: { httpStatus: 400, grpcStatus: 3, exitCode: 2 },
  invalid_object: { httpStatus: 422, grpcStatus: 3, exitCode: 5 },
  corrupt_object: { httpStatus: 500, grpcStatus: 15, exitCode: 5 },
  object_not_found: { httpStatus: 404, grpcStatus: 5, exitCode: 3 },
  wrong_object_type: { httpStatus: 409, grpcStatus: 9, exitCode: 5 },
  incomplete_closure: { httpStatus: 409, grpcStatus: 9, exitCode: 5 },
  tag_not_found: { httpStatus: 404, grpcStatus: 5, exitCode: 3 },
  precondition_missing: { httpStatus: 428, grpcStatus: 9, exitCode: 2 },
  tag_conflict: { httpStatus: 412, grpcStatus: 10, exitCode: 4 },
  tag_protected: { httpStatus: 403, grpcStatus: 9, exitCode: 4 },
  invalid_tag_file: { httpStatus: 500, grpcStatus: 15, exitCode: 5 },
  ref_not_found: { httpStatus: 404, grpcStatus: 5, exitCode: 3 },
  ambiguous_ref: { httpStatus: 409, grpcStatus: 9, exitCode: 2 },
  path_not_found: { httpStatus: 404, grpcStatus: 5, exitCode: 3 },
  repository_not_found: { httpStatus: 404, grpcStatus: 5, exitCode: 3 },
  repository_exists: { httpStatus: 409, grpcStatus: 6, exitCode: 4 },
  invalid_repository: { httpStatus: 500, grpcStatus: 15, exitCode: 5 },
  repository_changed: { httpStatus: 503, grpcStatus: 14, exitCode: 4 },
  remote_not_found: { httpStatus: 404, grpcStatus: 5, exitCode: 3 },
  remote_exists: { httpStatus: 409, grpcStatus: 6, exitCode: 4 },
  lock_busy: { httpStatus: 503, grpcStatus: 14, exitCode: 4 },
  limit_exceeded: { httpStatus: 413, grpcStatus: 8, exitCode: 5 },
  not_representable: { httpStatus: 422, grpcStatus: 3, exitCode: 9 },
  source_changed: { httpStatus: 409, grpcStatus: 10, exitCode: 9 },
  source_unreadable: { httpStatus: 409, grpcStatus: 9, exitCode: 9 },
  invalid_archive: { httpStatus: 422, grpcStatus: 3, exitCode: 5 },
  destination_refused: { httpStatus: 409, grpcStatus: 9, exitCode: 9 },
  local_changes: { httpStatus: 409, grpcStatus: 9, exitCode: 9 },
  protocol_violation: { httpStatus: 400, grpcStatus: 3, exitCode: 7 },
  connection_lost: { httpStatus: 502, grpcStatus: 14, exitCode: 7 },
  remote_refused: { httpStatus: 502, grpcStatus: 14, exitCode: 7 },
  timed_out: { httpStatus: 504, grpcStatus: 4, exitCode: 7 },
  access_refused: { httpStatus: 403, grpcStatus: 7, exitCode: 6 },
  unauthenticated: { httpStatus: 401, grpcStatus: 16, exitCode: 6 },
  rate_limited: { httpStatus: 429, grpcStatus: 8, exitCode: 7 },
  busy: { httpStatus: 503, grpcStatus: 14, exitCode: 7 },
  quota_exceeded: { httpStatus: 507, grpcStatus: 8, exitCode: 8 },
  storage_full: { httpStatus: 507, grpcStatus: 8, exitCode: 8 },
  snapshot_not_found: { httpStatus: 404, grpcStatus: 5, exitCode: 3 },
  snapshot_exists: { httpStatus: 409, grpcStatus: 6, exitCode: 4 },
  snapshot_in_use: { httpStatus: 409, grpcStatus: 9, exitCode: 4 },
  wrong_snapshot_kind: { httpStatus: 409, grpcStatus: 9, exitCode: 4 },
  invalid_snapshot_root: { httpStatus: 500, grpcStatus: 15, exitCode: 5 },
  driver_refused: { httpStatus: 501, grpcStatus: 12, exitCode: 8 },
  native_unavailable: { httpStatus: 501, grpcStatus: 12, exitCode: 8 },
} as const satisfies Record<string, ErrorReaction>

/** A stable error code: part of the public interface, unlike message texts. */
export type ErrorCode = keyof typeof errorCodes

/** What errors of the system are to a caller, where a code of ours says it. */
export const codeOfErrno: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'storage_full',
  EDQUOT: 'storage_full',
  EACCES: 'access_refused',
  EPERM: 'access_refused',
  EROFS: 'access_refused',
}
