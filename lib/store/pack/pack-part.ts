import { constants } from 'node:fs'
import { InvalidObjectError } from '../../errors.js'
import { openRegularFile } from '../../system/regular-file.js'

/**
 * Opens a file of the folder of packs for reading; throws InvalidObjectError for what is
 * no regular file, ENOENT for nothing.
 *
 * @param what - the kind of file, for the message
 */
export function openPackPart(path: string, what: string): number {
  const expected = 'a regular file'
  return openRegularFile(
    path,
    constants.O_RDONLY,
    found =>
      new InvalidObjectError(
        `invalid ${what} ${path}: expected ${expected}, found ${found}`,
        { path, expected, found },
      ),
  )
}
