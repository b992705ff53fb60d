import { once } from 'node:events'
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { InvalidArgumentError } from '../../lib/errors.js'
import { parseSnapshotKey, type SnapshotKey } from '../../lib/snapshot/snapshot-key.js'
import type {
  CallOptions,
  PrepareOptions,
  Snapshotter,
} from '../../lib/snapshot/snapshotter.js'
import type { CallObserver } from './finished-call.js'
import { statusOfError } from './grpc-status.js'
import { infoMessage, parseLabels, parseText } from './snapshot-messages.js'
import type {
  InfoMessage,
  ListRequestMessage,
  ListResponseMessage,
  SnapshotCalls,
} from './snapshot-protocol.js'

type Method = keyof SnapshotCalls
type Request<Name extends Method> = SnapshotCalls[Name]['request']
type Response<Name extends Method> = SnapshotCalls[Name]['response']

type Handlers = {
  readonly [Name in Method]: (
    request: Request<Name>,
    options: CallOptions,
  ) => Promise<Response<Name>>
}

// Labels can be long: a message must stay far below what a client takes.
const messageBytes = 1024 * 1024

/** Answers the calls of the snapshots service from a snapshotter. */
export function createSnapshotService(
  snapshotter: Snapshotter,
  observe: CallObserver,
): UntypedServiceImplementation {
  const handlers = createHandlers(snapshotter)
  const unary = Object.keys(handlers).map(name => {
    const method = name as Method
    return [method, answer(method, handlers[method] as Handle, observe)] as const
  })
  return Object.fromEntries([...unary, ['List', answerList(snapshotter, observe)]])
}

function createHandlers(snapshotter: Snapshotter): Handlers {
  return {
    Prepare: async (request, options) => ({
      mounts: await snapshotter.prepare(keyOf(request), newSnapshot(request, options)),
    }),
    View: async (request, options) => ({
      mounts: await snapshotter.view(keyOf(request), newSnapshot(request, options)),
    }),
    Mounts: async (request, options) => ({
      mounts: await snapshotter.mounts(keyOf(request), options),
    }),
    Commit: async (request, options) => {
      await snapshotter.commit(parseSnapshotKey(request.name), keyOf(request), {
        ...options,
        labels: parseLabels(request.labels),
        parent: parseSnapshotKey(request.parent),
      })
      return {}
    },
    Remove: async (request, options) => {
      await snapshotter.remove(keyOf(request), options)
      return {}
    },
    Stat: async (request, options) => ({
      info: infoMessage(await snapshotter.stat(keyOf(request), options)),
    }),
    Update: async ({ info, update_mask: mask }, options) => {
      if (info === null) throw new InvalidArgumentError('an update without an info')
      const name = parseSnapshotKey(info.name)
      const updated = await snapshotter.update(name, parseLabels(info.labels), {
        ...options,
        paths: mask?.paths ?? [],
      })
      return { info: infoMessage(updated) }
    },
    Usage: async (request, options) => snapshotter.usage(keyOf(request), options),
    Cleanup: async (_, options) => {
      await snapshotter.cleanup(options)
      return {}
    },
  }
}

function keyOf({ key }: { readonly key: Buffer }): SnapshotKey {
  return parseSnapshotKey(key)
}

function newSnapshot(
  { parent, labels }: Request<'Prepare'>,
  options: CallOptions,
): PrepareOptions {
  return { ...options, parent: parseSnapshotKey(parent), labels: parseLabels(labels) }
}

type Handle = (request: unknown, options: CallOptions) => Promise<unknown>

function answer(
  method: Method,
  handle: Handle,
  observe: CallObserver,
): handleUnaryCall<unknown, unknown> {
  const run = async (
    call: ServerUnaryCall<unknown, unknown>,
    reply: sendUnaryData<unknown>,
  ): Promise<void> => {
    const end = startCall(method, call.request, observe)
    let response: unknown
    try {
      response = await handle(call.request, { signal: signalOf(call) })
    } catch (error) {
      end(error)
      reply(statusOfError(error))
      return
    }
    end()
    reply(null, response)
  }
  return (call, reply) => void run(call, reply)
}

function answerList(
  snapshotter: Snapshotter,
  observe: CallObserver,
): handleServerStreamingCall<ListRequestMessage, ListResponseMessage> {
  const run = async (
    call: ServerWritableStream<ListRequestMessage, ListResponseMessage>,
  ): Promise<void> => {
    const end = startCall('List', call.request, observe)
    try {
      await list(snapshotter, call)
    } catch (error) {
      end(error)
      call.emit('error', statusOfError(error))
      return
    }
    end()
    call.end()
  }
  return call => void run(call)
}

async function list(
  snapshotter: Snapshotter,
  call: ServerWritableStream<ListRequestMessage, ListResponseMessage>,
): Promise<void> {
  const signal = signalOf(call)
  const filters = call.request.filters.map(bytes => parseText(bytes, 'a filter'))
  for await (const batch of snapshotter.walk(filters, { signal })) {
    for (const info of splitBySize(batch.map(infoMessage))) {
      if (call.write({ info })) continue
      await once(call, 'drain', { signal })
    }
  }
}

function* splitBySize(infos: readonly InfoMessage[]): Generator<InfoMessage[]> {
  let part: InfoMessage[] = []
  let bytes = 0
  for (const info of infos) {
    part.push(info)
    bytes += info.name.length + info.parent.length
    for (const { key, value } of info.labels) bytes += key.length + value.length
    if (bytes < messageBytes) continue
    yield part
    part = []
    bytes = 0
  }
  if (part.length > 0) yield part
}

function signalOf(call: {
  readonly cancelled: boolean
  once(event: 'cancelled', listener: () => void): unknown
}): AbortSignal {
  const controller = new AbortController()
  if (call.cancelled) controller.abort()
  call.once('cancelled', () => controller.abort())
  return controller.signal
}

function startCall(
  method: string,
  request: unknown,
  observe: CallObserver,
): (error?: unknown) => void {
  const started = performance.now()
  return error => {
    const failure = error === undefined ? undefined : statusOfError(error)
    observe({
      method,
      key: findKey(request),
      status: failure?.code ?? status.OK,
      durationMs: performance.now() - started,
      error: failure?.details,
    })
  }
}

function findKey(request: unknown): Buffer | undefined {
  if (typeof request !== 'object' || request === null || !('key' in request))
    return undefined
  return Buffer.isBuffer(request.key) ? request.key : undefined
}
