import { CommanderError } from 'commander'
import t from 'tap'
import { describeFailure, Interruption, StepFailedError } from '../../cli/failure.js'
import { BrokenPipeError } from '../../cli/output.js'
import { resolveSettings } from '../../cli/settings.js'
import {
  DestinationRefusedError,
  PathNotFoundError,
  RefNotFoundError,
  TagNotFoundError,
} from '../../lib/errors.js'

const settings = resolveSettings({ repo: '/repo' }, {}, '/home/u')

t.test('takes code, facts and exit code of the library’s errors', async t => {
  t.match(
    describeFailure(new TagNotFoundError('no tag a', { name: 'a' }), settings, undefined),
    {
      code: 'tag_not_found',
      message: 'no tag a',
      facts: { name: 'a' },
      exitCode: 3,
      hint: /tag list/,
    },
  )
})

t.test('sorts errors of the system by what one can do about them', async t => {
  for (const [errno, code, exitCode] of [
    ['ENOSPC', 'storage_full', 8],
    ['EDQUOT', 'storage_full', 8],
    ['EACCES', 'access_refused', 6],
    ['EROFS', 'access_refused', 6],
    ['ENOENT', 'system_error', 3],
    ['EADDRINUSE', 'system_error', 4],
    ['EIO', 'system_error', 1],
  ] as const) {
    const error = Object.assign(new Error(`${errno}: bad`), {
      code: errno,
      errno: -1,
      path: '/p',
    })
    t.match(describeFailure(error, settings, undefined), {
      code,
      exitCode,
      facts: { errno, path: '/p' },
    })
  }
})

t.test('tells what failed first, not what closing ran into then', async t => {
  const missing = new TagNotFoundError('no tag a', { name: 'a' })
  const thrown = (async () => {
    await using outer = {
      [Symbol.asyncDispose]: async () => {
        throw new Error('closing failed')
      },
    }
    await using inner = {
      [Symbol.asyncDispose]: async () => {
        throw new Error('closing failed, too')
      },
    }
    throw outer !== inner ? missing : undefined
  })()
  const error = await thrown.catch((reason: unknown) => reason)
  t.not(error, missing)
  t.match(describeFailure(error, settings, undefined), {
    code: 'tag_not_found',
    message: 'no tag a',
  })
})

t.test('asks to report what nobody expected', async t => {
  for (const error of [new TypeError('x is undefined'), 'text']) {
    t.match(describeFailure(error, settings, undefined), {
      code: 'unexpected',
      exitCode: 1,
      message: /^unexpected error: /,
      hint: /report/,
    })
  }
})

t.test('calls whatever an interruption broke an interruption', async t => {
  const reason = new Interruption('SIGINT')
  t.match(describeFailure(new Error('socket closed'), settings, reason), {
    code: 'interrupted',
    exitCode: 130,
  })
})

t.test('says nothing about a closed pipe', async t => {
  t.match(describeFailure(new BrokenPipeError(), settings, undefined), {
    silent: true,
    exitCode: 141,
  })
})

t.test('makes one line of wrong usage', async t => {
  const error = new CommanderError(
    1,
    'commander.x',
    'error: Bad flag\n(Did you mean this?)',
  )
  t.match(describeFailure(error, settings, undefined), {
    message: 'bad flag (Did you mean this?)',
    exitCode: 2,
  })
})

t.test('names the step of quickstart that failed', async t => {
  t.match(describeFailure(new StepFailedError('cairn push', 7), settings, undefined), {
    code: 'step_failed',
    facts: { command: 'cairn push', exitCode: 7 },
    exitCode: 1,
  })
})

t.test('hints at what leads on', async t => {
  for (const [error, hint] of [
    [new RefNotFoundError('x', { ref: 'app' }), /cairn tag list/],
    [new RefNotFoundError('x', { ref: 'app@{7}' }), /cairn tag log app/],
    [new RefNotFoundError('x', { ref: 'app:etc' }), /take REF:PATH/],
    [new TagNotFoundError('x', { name: 'app' }), /cairn tag list/],
    [new TagNotFoundError('x', { url: 'http://h/a' }), /cairn remote tags http:\/\/h\/a/],
    [new PathNotFoundError('x', { found: 'symlink' }), /not followed/],
    [new DestinationRefusedError('x', { found: 'a folder with entries' }), /--force/],
  ] as const) {
    t.match(describeFailure(error, settings, undefined).hint, hint)
  }
  const other = new DestinationRefusedError('x', { path: 'p' })
  t.equal(describeFailure(other, settings, undefined).hint, undefined)
})

t.test('names the file of a system error first', async t => {
  const error = Object.assign(new Error("ENOENT: no such file or directory, open 'c'"), {
    code: 'ENOENT',
    errno: -2,
    path: 'c',
  })
  t.equal(
    describeFailure(error, settings, undefined).message,
    'c: no such file or directory (ENOENT)',
  )
})
