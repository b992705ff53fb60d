import { randomBytes } from 'node:crypto'
import { InvalidArgumentError, InvalidRepositoryError } from '../errors.js'
import { type Algorithm, algorithms, findAlgorithmByName } from '../object/algorithm.js'
import { encodeCanonicalJson } from './canonical-json.js'
import { type Compression, findCompression } from './compression.js'

/** How a repository keeps its objects: a file each, or many in a pack. */
export type StoreLayout = (typeof layouts)[number]

/** What a repository says of itself (`ROOT/config`). */
export type RepositoryConfig = {
  readonly version: 1
  /** 32 random hex digits; undefined in a repository of version 1, which has no config. */
  readonly id: string | undefined
  readonly layout: StoreLayout
  /** Digests of what is stored here; objects of other algorithms may come from elsewhere. */
  readonly algorithm: Algorithm
  readonly compression: Compression
}

/** A config that is written down: a repository that has one has an id. */
export type WrittenConfig = RepositoryConfig & { readonly id: string }

/** What the maker of a repository chooses. */
export type RepositoryChoices = Pick<
  RepositoryConfig,
  'algorithm' | 'compression' | 'layout'
>

const layouts = ['loose', 'pack'] as const
const keys = ['algorithm', 'compression', 'id', 'layout', 'version']

/** The config of a new repository; throws InvalidArgumentError for choices that contradict. */
export function createConfig(choices: RepositoryChoices): WrittenConfig {
  const { algorithm, compression, layout } = choices
  if (layout === 'loose' && compression !== 'none') {
    throw new InvalidArgumentError(
      `the loose layout cannot compress: expected compression none, found ${compression}`,
      { layout, compression },
    )
  }
  const id = randomBytes(16).toString('hex')
  return { version: 1, id, layout, algorithm, compression }
}

/** The config of a repository of which something changes; throws as createConfig. */
export function changeConfig(
  { id, algorithm }: RepositoryConfig,
  choices: Pick<RepositoryChoices, 'layout' | 'compression'>,
): WrittenConfig {
  const config = createConfig({ algorithm, ...choices })
  return id === undefined ? config : { ...config, id }
}

/** The config that a version 1 repository stands for. */
export function version1Config(): RepositoryConfig {
  const algorithm = findAlgorithmByName('sha512-256')
  if (algorithm === undefined) throw new Error('sha512-256 is always known')
  return { version: 1, id: undefined, layout: 'loose', algorithm, compression: 'none' }
}

/** Encodes: canonical JSON, one line. */
export function encodeConfig(config: WrittenConfig): Buffer {
  const { version, id, layout, algorithm, compression } = config
  return encodeCanonicalJson({
    version,
    id,
    layout,
    algorithm: algorithm.name,
    compression,
  })
}

/** Decodes; throws InvalidRepositoryError that names `path`, the key and what was found. */
export function decodeConfig(bytes: Uint8Array, path: string): WrittenConfig {
  const fields = parseFields(bytes, path)
  const expect = (key: string, expected: readonly unknown[]): void => {
    if (!expected.includes(fields[key])) throw invalid(path, key, expected, fields[key])
  }
  // Another version may have other keys, so it is told first.
  expect('version', [1])
  for (const key of Object.keys(fields)) {
    if (!keys.includes(key)) throw invalid(path, 'key', keys, key)
  }
  const layout = layouts.find(known => known === fields['layout'])
  if (layout === undefined) throw invalid(path, 'layout', layouts, fields['layout'])
  const compression = parseConfigured(fields['compression'], layout, path)
  const { id, algorithm: name } = fields
  if (typeof id !== 'string' || !/^[0-9a-f]{32}$/.test(id)) {
    throw invalid(path, 'id', ['32 hex digits'], id)
  }
  const algorithm = typeof name === 'string' ? findAlgorithmByName(name) : undefined
  if (algorithm === undefined) {
    const names = algorithms.map(known => known.name)
    throw invalid(path, 'algorithm', names, name)
  }
  return { version: 1, id, layout, algorithm, compression }
}

function parseConfigured(value: unknown, layout: StoreLayout, path: string): Compression {
  const found = typeof value === 'string' ? findCompression(value) : undefined
  if (found !== undefined && (found === 'none' || layout === 'pack')) return found
  const expected = layout === 'pack' ? ['none', 'zstd:1 to zstd:19'] : ['none']
  throw invalid(path, 'compression', expected, value)
}

function parseFields(bytes: Uint8Array, path: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    const message = `invalid repository config ${path}: it is no JSON`
    throw new InvalidRepositoryError(message, { path }, { cause: error })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidRepositoryError(
      `invalid repository config ${path}: it is no JSON object`,
      { path },
    )
  }
  return { ...value }
}

function invalid(
  path: string,
  key: string,
  expected: readonly unknown[],
  found: unknown,
): InvalidRepositoryError {
  const shown = found === undefined ? 'nothing' : JSON.stringify(found)
  const list = expected.join(', ')
  return new InvalidRepositoryError(
    `invalid repository config ${path}: ${key}: expected ${list}, found ${shown}`,
    { path, key, expected: list, found: shown },
  )
}
