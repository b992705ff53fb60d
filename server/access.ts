/** What may be done to a repository, and `admin`, which stands for all of it and more. */
export const actions = ['pull', 'push', 'tag-move', 'tag-delete', 'admin'] as const

/**
 * - `pull`: read tags and objects.
 * - `push`: store objects, and set tags that are not there.
 * - `tag-move`: make a tag that is there name something else.
 * - `tag-delete`: remove a tag.
 * - `admin`: all of these; on every repository, also the metrics.
 */
export type Action = (typeof actions)[number]

/** Who makes a request, and what he may do. */
export type Principal = {
  /** For logs and limits: equal names are one principal. */
  readonly name: string
  readonly anonymous: boolean
  /**
   * @param repositoryPath - names of its folders below the served root, joined by `/`; the
   * root itself is the empty text
   */
  may(action: Action, repositoryPath: string): boolean
  /** Bytes a second of all transfers together, if they are bounded. */
  readonly rateBytesPerSecond?: number
}

/** What a request tells of who makes it. */
export type Credentials = {
  /** The header of that name. */
  readonly authorization: string | undefined
  /** The address that it comes from. */
  readonly address: string
  /** What the client's certificate says, if one was shown. */
  readonly certificate: ClientCertificate | undefined
}

/** A certificate that a client showed. */
export type ClientCertificate =
  | { readonly kind: 'trusted'; readonly commonName: string }
  | { readonly kind: 'untrusted'; readonly reason: string }

/** Finds out who makes a request. */
export interface Authenticator {
  /**
   * Throws UnauthenticatedError for credentials that are wrong, RateLimitedError when too
   * many were.
   */
  authenticate(credentials: Credentials): Promise<Principal>
}
