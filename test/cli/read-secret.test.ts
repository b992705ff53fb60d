import { PassThrough } from 'node:stream'
import t from 'tap'
import { readSecret, type SecretInput } from '../../cli/read-secret.js'

function terminal(typed: string) {
  const modes: boolean[] = []
  const stream = Object.assign(new PassThrough(), {
    isTTY: true as const,
    setRawMode: (mode: boolean) => {
      modes.push(mode)
    },
  })
  stream.end(typed)
  return { input: stream as unknown as SecretInput, modes }
}

t.test('reads the first line of what is piped in, without a prompt', async t => {
  const input = new PassThrough()
  input.end('secret\r\nmore\n')
  const shown: string[] = []
  t.equal(await readSecret(input, text => shown.push(text), 'token'), 'secret')
  t.same(shown, [])
})

t.test(
  'turns the echo of a terminal off while a secret is typed, and on again',
  async t => {
    const { input, modes } = terminal('secret\r')
    const shown: string[] = []
    t.equal(await readSecret(input, text => shown.push(text), 'token'), 'secret')
    t.same(shown, ['token: ', '\n'])
    t.same(modes, [true, false])
  },
)

t.test('gives up on ctrl-c, and on a line without end', async t => {
  for (const typed of ['sec\u0003', 'x'.repeat(9000)]) {
    const { input, modes } = terminal(typed)
    const secret = readSecret(input, () => undefined, 'token')
    await t.rejects(secret, { code: 'invalid_argument' })
    t.same(modes, [true, false])
  }
})
