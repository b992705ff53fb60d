import { ObjectNotFoundError, WrongObjectTypeError } from '../errors.js'
import {
  type Application,
  applicationTotals,
  decodeApplication,
  encodeApplication,
} from '../object/application.js'
import type { Descriptor, ObjectLink } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import {
  type Directory,
  type DirectoryLink,
  decodeDirectory,
  encodeDirectory,
  totalsOf,
} from '../object/directory.js'
import { DirectoryView } from '../object/directory-view.js'
import { decodeHeader, encodeHeader, type Header } from '../object/header.js'
import type { ObjectType } from '../object/object-type.js'
import type { ObjectReader, StoreSession } from './object-store.js'

/** Reads a header; throws ObjectNotFoundError, WrongObjectTypeError, CorruptObjectError. */
export async function getHeader(reader: ObjectReader, digest: Digest): Promise<Header> {
  return decodeHeader(await getPayload(reader, digest, 'header'), 'tolerant')
}

/** Reads a directory; throws as getHeader does. */
export async function getDirectory(
  reader: ObjectReader,
  digest: Digest,
): Promise<Directory> {
  return decodeDirectory(await getPayload(reader, digest, 'directory'), 'tolerant')
}

/** As getDirectory, for a caller that need not have all entries at once. */
export async function viewDirectory(
  reader: ObjectReader,
  digest: Digest,
): Promise<DirectoryView> {
  return new DirectoryView(await getPayload(reader, digest, 'directory'), 'tolerant')
}

/** Reads an application; throws as getHeader does. */
export async function getApplication(
  reader: ObjectReader,
  digest: Digest,
): Promise<Application> {
  return decodeApplication(await getPayload(reader, digest, 'application'), 'tolerant')
}

/** Commits a header. */
export async function putHeader(
  session: StoreSession,
  header: Header,
): Promise<ObjectLink> {
  return put(session, 'header', encodeHeader(header))
}

/** Commits a directory whose entries are committed already. */
export async function putDirectory(
  session: StoreSession,
  directory: Directory,
): Promise<DirectoryLink> {
  const link = await put(session, 'directory', encodeDirectory(directory))
  return { ...link, ...totalsOf(directory) }
}

/** Commits an application whose root is committed already. */
export async function putApplication(
  session: StoreSession,
  application: Application,
): Promise<Descriptor> {
  const link = await put(session, 'application', encodeApplication(application))
  return { type: 'application', ...link, ...applicationTotals(application) }
}

async function getPayload(
  reader: ObjectReader,
  digest: Digest,
  type: ObjectType,
): Promise<Buffer> {
  const [object] = await reader.read([digest])
  if (object === undefined)
    throw new ObjectNotFoundError(`no object ${digest}`, { digest })
  if (object.type !== type) {
    throw new WrongObjectTypeError(
      `object ${digest} has another type: expected ${type}, found ${object.type}`,
      { digest, expected: type, found: object.type },
    )
  }
  return object.payload
}

async function put(
  session: StoreSession,
  type: ObjectType,
  payload: Uint8Array,
): Promise<ObjectLink> {
  const [link] = await session.put([{ type, payload }])
  if (link === undefined) throw new Error('a session answered for no object')
  return link
}
