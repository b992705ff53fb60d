import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { constants, Script } from 'node:vm'

/** The whole program as one CommonJS module, and what V8 compiled of it ahead. */
export const programName = 'program.cjs'
export const codeCacheName = 'program.cache'

type ModuleBody = (
  exports: object,
  require: NodeJS.Require,
  module: object,
  filename: string,
  dirname: string,
) => void

/**
 * Runs the bundled program beside the file that starts it, without compiling what its code
 * cache has; V8 refuses the cache of another version of itself, and then compiles all.
 *
 * @param start - the file that a user started, which the program takes itself for
 */
export function startProgram(start: string): Script {
  const folder = dirname(start)
  const filename = join(folder, programName)
  // The bundler writes ASCII, which V8 then keeps as it is.
  const source = readFileSync(filename, 'latin1')
  const script = new Script(wrap(source), {
    filename,
    cachedData: findCodeCache(join(folder, codeCacheName)),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  })
  const body = script.runInThisContext() as ModuleBody
  const module = { exports: {} }
  body(module.exports, createRequire(start), module, start, folder)
  return script
}

// On the first line, so that line numbers stay; what is there becomes a comment.
function wrap(source: string): string {
  return `(function (exports, require, module, __filename, __dirname) {//${source}\n})`
}

function findCodeCache(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch {
    // Only the start takes longer without it.
    return undefined
  }
}
