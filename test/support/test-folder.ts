import type { Test } from 'tap'

/**
 * A folder as of `t.testdir`, removed after all that the test tears down. tap removes its
 * own before what was given to `t.teardown` later, while a server still writes there.
 */
export function testFolder(
  t: Test,
  content: NonNullable<Parameters<Test['testdir']>[0]> = {},
): string {
  t.teardown(() => undefined)
  return t.testdir(content)
}
