import { InvalidArgumentError } from '../errors.js'

/**
 * Parses the address of a remote repository: http or https, without query, fragment or
 * credentials; throws InvalidArgumentError.
 *
 * Credentials are refused because the address is shown, logged and stored in the open.
 */
export function parseRemoteUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) throw invalid(text, 'it is no URL')
  if (url.username !== '' || url.password !== '') {
    url.username = ''
    url.password = ''
    throw invalid(url.href, 'it holds credentials')
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw invalid(text, `expected http or https, found ${url.protocol.slice(0, -1)}`)
  }
  if (url.search !== '' || text.includes('?')) throw invalid(text, 'it has a query')
  if (url.hash !== '' || text.includes('#')) throw invalid(text, 'it has a fragment')
  return url
}

function invalid(text: string, problem: string): InvalidArgumentError {
  const shown = JSON.stringify(text.slice(0, 200))
  return new InvalidArgumentError(`invalid remote address ${shown}: ${problem}`, {
    found: shown,
  })
}
