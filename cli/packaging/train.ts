import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { codeCacheName, startProgram } from './start.js'

/*
 * node train.js START ARGUMENT...: runs the program as START does, then keeps what was
 * compiled up to its end beside what was compiled before.
 */
const [node = '', , start = '', ...rest] = process.argv
process.argv = [node, start, ...rest]
const script = startProgram(start)
process.on('exit', () => {
  writeFileSync(join(dirname(start), codeCacheName), script.createCachedData())
})
