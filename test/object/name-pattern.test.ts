import fc from 'fast-check'
import t from 'tap'
import { matchesName, parseNamePattern } from '../../lib/object/name-pattern.js'

t.test(
  'takes a star for any characters, and nothing else for more than itself',
  async t => {
    const table = [
      ['v*', 'v1', true],
      ['v*', 'v', true],
      ['v*', 'w1', false],
      ['*', 'anything', true],
      ['*-stable', 'app-stable', true],
      ['*-stable', 'app-stable-2', false],
      ['a*b*c', 'aXbYbZc', true],
      ['a*b*c', 'aXbYbZ', false],
      ['v1.0', 'v1x0', false],
      ['v1.0', 'v1.0', true],
      ['v1.0', 'v1.00', false],
    ] as const
    for (const [pattern, name, expected] of table) {
      t.equal(
        matchesName(parseNamePattern(pattern), name),
        expected,
        `${pattern} ${name}`,
      )
    }
  },
)

t.test('agrees with a regular expression', async t => {
  const letters = fc.constantFrom('a', 'b', '*')
  fc.assert(
    fc.property(
      fc.array(letters, { minLength: 1, maxLength: 8 }),
      fc.array(fc.constantFrom('a', 'b'), { maxLength: 12 }),
      (pattern, name) => {
        const text = pattern.join('')
        const rule = new RegExp(`^${text.replaceAll('*', '.*')}$`)
        return (
          matchesName(parseNamePattern(text), name.join('')) === rule.test(name.join(''))
        )
      },
    ),
    { numRuns: 2000 },
  )
  t.pass()
})

t.test('takes no time for a pattern that is meant to take much', async t => {
  const pattern = parseNamePattern('a*'.repeat(60))
  t.notOk(matchesName(pattern, `${'a'.repeat(59)}b`.repeat(1)))
  t.ok(matchesName(pattern, 'a'.repeat(128)))
})

t.test('refuses patterns that fit no name', async t => {
  for (const text of ['', '.x', '-x', 'a/b', 'a b', 'a?', '[a]', 'ä', 'x'.repeat(129)]) {
    t.throws(() => parseNamePattern(text), { code: 'invalid_argument' }, text)
  }
})
