import type { IncomingMessage } from 'node:http'
import { createSecureContext, TLSSocket } from 'node:tls'
import { InvalidArgumentError } from '../lib/errors.js'
import type { ClientCertificate } from './access.js'

/** Certificate and key of a server, PEM. */
export type TlsMaterial = {
  readonly certificate: string | Buffer
  readonly key: string | Buffer
  /** Signs the certificates by which clients may show who they are. */
  readonly clientCa?: string | Buffer
}

/** The options of Node for a material; throws InvalidArgumentError when it does not fit. */
export function secureContextOptions({ certificate, key, clientCa }: TlsMaterial) {
  const options = {
    cert: certificate,
    key,
    minVersion: 'TLSv1.2' as const,
    ...(clientCa === undefined ? {} : { ca: clientCa }),
  }
  try {
    createSecureContext(options)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new InvalidArgumentError(
      `unusable TLS certificate or key: ${message}`,
      {},
      { cause: error },
    )
  }
  return options
}

/** The certificate that a client showed with its connection; undefined for none. */
export function findClientCertificate({
  socket,
}: IncomingMessage): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket)) return undefined
  const certificate = socket.getPeerCertificate()
  if (certificate === null || Object.keys(certificate).length === 0) return undefined
  const { CN } = certificate.subject
  if (socket.authorized && typeof CN === 'string' && CN !== '') {
    return { kind: 'trusted', commonName: CN }
  }
  const reason = socket.authorized
    ? 'it has no single common name'
    : String(socket.authorizationError)
  return { kind: 'untrusted', reason }
}
