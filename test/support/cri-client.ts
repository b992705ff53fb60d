import { fileURLToPath } from 'node:url'
import { Client, credentials, type ServiceError } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import type { Test } from 'tap'

const path = fileURLToPath(
  new URL('../../../test/support/cri-images.proto', import.meta.url),
)

/** Pulls images as a kubelet does, through a containerd's socket. */
export function startCriClient(
  t: Test,
  socket: string,
): { readonly pull: (image: string) => Promise<void> } {
  const service = loadSync(path)['runtime.v1.ImageService']
  if (service === undefined || 'format' in service) throw new Error('no service')
  const method = service['PullImage']
  if (method === undefined) throw new Error('no call')
  const client = new Client(`unix:${socket}`, credentials.createInsecure(), {
    'grpc.default_authority': 'localhost',
  })
  t.teardown(() => client.close())
  const pull = async (image: string): Promise<void> => {
    await new Promise<void>((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        { image: { image } },
        (error: ServiceError | null) => (error === null ? resolve() : reject(error)),
      )
    })
  }
  return { pull }
}
