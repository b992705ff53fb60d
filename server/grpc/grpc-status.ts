import { Metadata, type StatusObject, status } from '@grpc/grpc-js'
import { codeOfErrno, errorCodes } from '../../lib/error-codes.js'
import { CairnError } from '../../lib/errors.js'
import { errnoOf } from '../../lib/system/errno.js'

/** The trailing metadata that holds the stable code of an error. */
export const errorCodeKey = 'cairn-error-code'

/** How a call ends that threw. */
export function statusOfError(error: unknown): StatusObject {
  const metadata = new Metadata()
  const details = error instanceof Error ? error.message : String(error)
  if (error instanceof CairnError) {
    metadata.set(errorCodeKey, error.code)
    return { code: errorCodes[error.code].grpcStatus, details, metadata }
  }
  if (error instanceof Error && error.name === 'AbortError') {
    return { code: status.CANCELLED, details, metadata }
  }
  const code = codeOfErrno[errnoOf(error) ?? '']
  if (code === undefined) return { code: status.UNKNOWN, details, metadata }
  return { code: errorCodes[code].grpcStatus, details, metadata }
}
