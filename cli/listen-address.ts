import { InvalidArgumentError } from '../lib/errors.js'

/** Where a server listens. */
export type ListenAddress = { readonly host: string; readonly port: number }

/** Parses `HOST:PORT`, an IPv6 host in brackets; throws InvalidArgumentError. */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port > 65_535) {
    throw new InvalidArgumentError(
      `invalid --listen: expected HOST:PORT, [IPV6]:PORT, port 0 to 65535, ` +
        `found ${JSON.stringify(text)}`,
      { found: text },
    )
  }
  return { host, port }
}

/** The base URL of a server that listens there. */
export function formatListenUrl({
  host,
  port,
  secure = false,
}: ListenAddress & { readonly secure?: boolean }): string {
  const scheme = secure ? 'https' : 'http'
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`
}
