import { Writable } from 'node:stream'
import t from 'tap'
import { BrokenPipeError, Output } from '../../cli/output.js'

function sink(fail?: NodeJS.ErrnoException) {
  let text = ''
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done(fail ?? null)
    },
  })
  stream.on('error', () => {})
  return { stream, text: () => text }
}

function outputWith(mode: { json?: boolean; quiet?: boolean; verbose?: boolean }) {
  const results = sink()
  const remarks = sink()
  const output = new Output(results.stream, remarks.stream, {
    json: false,
    quiet: false,
    verbose: false,
    progress: true,
    ...mode,
  })
  return { output, results, remarks }
}

const rows = [
  { text: 'a\n', json: { path: 'a' } },
  { text: 'b\n', json: { path: 'b' } },
]

t.test('keeps results and remarks on their own streams', async t => {
  const { output, results, remarks } = outputWith({})
  output.note('stored it')
  output.warn('left out\x07 this')
  output.detail('not asked for')
  await output.result({ digest: 'd' }, 'd\n')
  t.equal(results.text(), 'd\n')
  t.equal(remarks.text(), 'stored it\nwarning: left out\\x07 this\n')
})

t.test('prints one document and no remarks with json', async t => {
  const { output, results, remarks } = outputWith({ json: true, verbose: true })
  output.note('stored it')
  output.warn('left out this')
  output.detail('more')
  await output.result({ digest: 'd', bytes: 5n }, 'd\n')
  t.equal(results.text(), '{"digest":"d","bytes":5}\n')
  t.equal(remarks.text(), '')
})

t.test('leaves notes out when quiet, but no warning', async t => {
  const { output, remarks } = outputWith({ quiet: true })
  output.note('stored it')
  output.warn('left out this')
  t.equal(remarks.text(), 'warning: left out this\n')
})

t.test('prints details when verbose', async t => {
  const { output, remarks } = outputWith({ verbose: true })
  output.detail('more')
  t.equal(remarks.text(), 'more\n')
})

t.test('lists rows as lines', async t => {
  const { output, results } = outputWith({})
  await output.list('entries', rows)
  t.equal(results.text(), 'a\nb\n')
})

t.test('lists rows as one document, with members behind them', async t => {
  for (const [list, expected] of [
    [rows, { entries: [{ path: 'a' }, { path: 'b' }], count: 2 }],
    [[], { entries: [], count: 2 }],
  ] as const) {
    const { output, results } = outputWith({ json: true })
    await output.list('entries', list, () => ({ count: 2 }))
    t.same(JSON.parse(results.text()), expected)
  }
  const { output, results } = outputWith({ json: true })
  await output.list('entries', rows)
  t.same(Object.keys(JSON.parse(results.text()) as object), ['entries'])
})

t.test('writes long listings in pieces', async t => {
  const { output, results } = outputWith({ json: true })
  const many = Array.from({ length: 50_000 }, (_, n) => ({ text: '', json: { n } }))
  await output.list('entries', many)
  const document = JSON.parse(results.text()) as { entries: unknown[] }
  t.equal(document.entries.length, 50_000)
})

t.test('tells a closed pipe from other failures of writing', async t => {
  for (const [code, expected] of [
    ['EPIPE', BrokenPipeError],
    ['ENOSPC', Error],
  ] as const) {
    const broken = sink(Object.assign(new Error(code), { code }))
    const output = new Output(broken.stream, sink().stream, {
      json: false,
      quiet: false,
      verbose: false,
      progress: false,
    })
    await t.rejects(output.write('x'), expected)
  }
})
