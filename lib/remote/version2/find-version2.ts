import type { HttpClient } from './http-client.js'

const maxCapabilitiesBytes = 64 * 1024

// What a server without protocol 2 may answer: it knows no such path, or no such method.
const unknownHere = [400, 404, 405, 501]

/** Whether a server speaks protocol 2; throws RemoteRefusedError when it will not say. */
export async function speaksVersion2(
  client: HttpClient,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const call = { method: 'GET', path: '/v2/', signal, isRepeatable: true } as const
  const expected = [200, ...unknownHere]
  const { status, body } = await client.ask(call, expected, maxCapabilitiesBytes)
  if (status === 404 && isProblem(body, 'repository_not_found')) return true
  return status === 200 && protocolOf(body) === 2
}

function protocolOf(body: Buffer): unknown {
  return membersOf(body)['protocol']
}

function isProblem(body: Buffer, code: string): boolean {
  return membersOf(body)['code'] === code
}

function membersOf(body: Buffer): Record<string, unknown> {
  try {
    return Object(JSON.parse(body.toString())) as Record<string, unknown>
  } catch (error) {
    if (error instanceof SyntaxError) return {}
    throw error
  }
}
