import { type Application } from '../lib/object/application.js'
import type { ApplicationConfig } from '../lib/object/application-config.js'
import type { Descriptor } from '../lib/object/descriptor.js'
import { splitDevice } from '../lib/object/device-number.js'
import type { DirectoryView } from '../lib/object/directory-view.js'
import { escapeBytes } from '../lib/object/escape.js'
import { type Header, kindOfHeader } from '../lib/object/header.js'
import type { ObjectReader } from '../lib/store/object-store.js'
import { getApplication, getHeader, viewDirectory } from '../lib/store/typed-object.js'
import type { JsonValue } from './json.js'
import { formatMode, formatPermissions } from './mode-text.js'
import { counted } from './text.js'

/** What there is to say about an object: for programs, and as rows of a table. */
export type Shown = {
  readonly document: { readonly [key: string]: JsonValue }
  readonly rows: readonly (readonly [string, string])[]
}

/** Describes what an object holds. */
export async function showContent(
  reader: ObjectReader,
  descriptor: Descriptor,
): Promise<Shown> {
  const { digest, type } = descriptor
  switch (type) {
    case 'application':
      return showApplication(reader, await getApplication(reader, digest))
    case 'directory':
      return showDirectory(await viewDirectory(reader, digest))
    case 'header':
      return showHeader(await getHeader(reader, digest))
    case 'file':
      return { document: {}, rows: [] }
    default:
      return type satisfies never
  }
}

async function showApplication(
  reader: ObjectReader,
  application: Application,
): Promise<Shown> {
  const { rootHeader, rootDirectory, extension = {} } = application
  const { config = {}, parents = [], created, hardLinks = [] } = extension
  const header = showHeader(await getHeader(reader, rootHeader.digest))
  const hasTimes = extension.modificationTimes !== undefined
  const names = hardLinks.reduce((sum, group) => sum + group.length, 0)
  return {
    document: {
      rootHeader: { digest: rootHeader.digest, ...header.document },
      rootDirectory: { ...rootDirectory },
      config,
      parents,
      created: created ?? null,
      hardLinks: { groups: hardLinks.length, names },
      modificationTimes: hasTimes,
      unknownMembers: (extension.unknown ?? []).map(({ key }) => key),
    },
    rows: [
      ['root directory', rootDirectory.digest],
      ['root header', rootHeader.digest],
      ...header.rows.map(([name, value]): [string, string] => [`root ${name}`, value]),
      ...configRows(config),
      ...parents.map((parent): [string, string] => ['parent', parent]),
      ...(created === undefined
        ? []
        : [['created', formatSecond(created)] satisfies [string, string]]),
      [
        'hard links',
        hardLinks.length === 0
          ? 'none'
          : `${counted(names, 'name')} of ${counted(hardLinks.length, 'file')}`,
      ],
      ['modification times', hasTimes ? 'stored' : 'not stored'],
    ],
  }
}

function configRows(config: ApplicationConfig): [string, string][] {
  const { command, environment = [], workingFolder, user } = config
  const rows: [string, string][] = []
  if (command !== undefined) rows.push(['command', JSON.stringify(command)])
  for (const variable of environment) rows.push(['environment', variable])
  if (workingFolder !== undefined) rows.push(['working folder', workingFolder])
  if (user !== undefined) rows.push(['user', user])
  for (const [name, value] of Object.entries(config.labels ?? {})) {
    rows.push(['label', `${name}=${value}`])
  }
  for (const [name, value] of Object.entries(config.annotations ?? {})) {
    rows.push(['annotation', `${name}=${value}`])
  }
  return rows
}

function formatSecond(seconds: bigint): string {
  const date = new Date(Number(seconds) * 1000)
  return Number.isNaN(date.getTime()) ? `${seconds} s` : date.toISOString()
}

function showDirectory(directory: DirectoryView): Shown {
  const counts = new Map<string, number>()
  for (const { kind } of directory) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  const kinds = [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ')
  return {
    document: { entries: directory.length, kinds: Object.fromEntries(counts) },
    rows: [['entries', kinds === '' ? 'none' : kinds]],
  }
}

/** Describes a header. */
export function showHeader(header: Header): Shown {
  const kind = kindOfHeader(header)
  const { mode, rdev, uid, gid, xattrs } = header
  const isDevice = kind === 'block-device' || kind === 'char-device'
  const device = isDevice ? splitDevice(rdev) : undefined
  return {
    document: {
      kind,
      permissions: formatPermissions(mode),
      uid,
      gid,
      ...(device !== undefined && { device }),
      xattrs: xattrs.map(({ key, value }) => ({
        key: escapeBytes(key),
        value: escapeBytes(value),
      })),
    },
    rows: [
      ['mode', `${formatMode(kind, mode)} (${formatPermissions(mode)})`],
      ['owner', `${uid}:${gid}`],
      ...(device === undefined
        ? []
        : [['device', `${device.major}:${device.minor}`] satisfies [string, string]]),
      ...xattrs.map(({ key, value }): [string, string] => [
        'xattr',
        `${escapeBytes(key)}=${escapeBytes(value)}`,
      ]),
    ],
  }
}
