import { type Metadata, status } from '@grpc/grpc-js'
import {
  AccessRefusedError,
  type CairnError,
  ConnectionLostError,
  DriverRefusedError,
  InvalidArgumentError,
  LimitExceededError,
  LockBusyError,
  RemoteRefusedError,
  SnapshotExistsError,
  SnapshotInUseError,
  SnapshotNotFoundError,
  StorageFullError,
  TimedOutError,
  WrongSnapshotKindError,
} from '../../lib/errors.js'
import { errorCodeKey } from './grpc-status.js'

type ErrorClass = new (message: string) => CairnError

// What our own server says beside the status.
const classOfCode: Readonly<Record<string, ErrorClass>> = {
  access_refused: AccessRefusedError,
  driver_refused: DriverRefusedError,
  invalid_argument: InvalidArgumentError,
  limit_exceeded: LimitExceededError,
  lock_busy: LockBusyError,
  snapshot_exists: SnapshotExistsError,
  snapshot_in_use: SnapshotInUseError,
  snapshot_not_found: SnapshotNotFoundError,
  storage_full: StorageFullError,
  wrong_snapshot_kind: WrongSnapshotKindError,
}

const classOfStatus: Readonly<Record<number, ErrorClass>> = {
  [status.INVALID_ARGUMENT]: InvalidArgumentError,
  [status.NOT_FOUND]: SnapshotNotFoundError,
  [status.ALREADY_EXISTS]: SnapshotExistsError,
  [status.FAILED_PRECONDITION]: WrongSnapshotKindError,
  [status.PERMISSION_DENIED]: AccessRefusedError,
  [status.RESOURCE_EXHAUSTED]: LimitExceededError,
  [status.DEADLINE_EXCEEDED]: TimedOutError,
  [status.UNAVAILABLE]: ConnectionLostError,
}

/** The error that a call's status stands for; what is no status passes unchanged. */
export function errorOfStatus(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error) || !('metadata' in error)) {
    return error
  }
  const metadata = error.metadata as Metadata
  const code = String(metadata.get(errorCodeKey)[0] ?? '')
  const known = classOfCode[code] ?? classOfStatus[Number(error.code)]
  const details = 'details' in error ? String(error.details) : error.message
  return new (known ?? RemoteRefusedError)(details)
}
