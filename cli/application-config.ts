import { readFile } from 'node:fs/promises'
import { InvalidArgumentError } from '../lib/errors.js'
import type { ApplicationConfig } from '../lib/object/application-config.js'

/** Reads `--config FILE` and `--label NAME=VALUE`; labels of the flag win. */
export async function readApplicationConfig(flags: {
  readonly config?: string
  readonly label?: readonly string[]
}): Promise<ApplicationConfig | undefined> {
  const config =
    flags.config === undefined
      ? undefined
      : parseConfig(await readFile(flags.config, 'utf8'), flags.config)
  if (flags.label === undefined) return config
  const labels = Object.fromEntries(flags.label.map(parseLabel))
  return { ...config, labels: { ...config?.labels, ...labels } }
}

function parseLabel(text: string): [string, string] {
  const equals = text.indexOf('=')
  if (equals < 1) {
    throw new InvalidArgumentError(
      `invalid label: expected NAME=VALUE, found ${JSON.stringify(text)}`,
      { found: text },
    )
  }
  return [text.slice(0, equals), text.slice(equals + 1)]
}

function parseConfig(text: string, path: string): ApplicationConfig {
  const invalid = (problem: string, cause?: unknown): InvalidArgumentError =>
    new InvalidArgumentError(`invalid config ${path}: ${problem}`, { path }, { cause })
  let config: ApplicationConfig = {}
  for (const [key, value] of Object.entries(parseObject(text, invalid))) {
    config = { ...config, ...parseMember(key, value, invalid) }
  }
  return config
}

type Invalid = (problem: string, cause?: unknown) => InvalidArgumentError

function parseObject(text: string, invalid: Invalid): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw invalid(`it is no JSON: ${error.message}`, error)
  }
  if (!isObject(value)) throw invalid('expected a JSON object')
  return value
}

function parseMember(key: string, value: unknown, invalid: Invalid): ApplicationConfig {
  switch (key) {
    case 'command':
    case 'environment':
      if (!Array.isArray(value) || !value.every(isText)) {
        throw invalid(`${key}: expected an array of strings`)
      }
      return { [key]: value }
    case 'workingFolder':
    case 'user':
      if (!isText(value)) throw invalid(`${key}: expected a string`)
      return { [key]: value }
    case 'labels':
    case 'annotations':
      if (!isTextMap(value)) throw invalid(`${key}: expected an object of strings`)
      return { [key]: value }
    default:
      throw invalid(
        `unknown key ${JSON.stringify(key)}: expected command, environment, ` +
          'workingFolder, user, labels or annotations',
      )
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isTextMap(value: unknown): value is Record<string, string> {
  return isObject(value) && Object.values(value).every(isText)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
