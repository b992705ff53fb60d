import { ObjectNotFoundError } from '../../lib/errors.js'
import { algorithms } from '../../lib/object/algorithm.js'
import { parseDigest } from '../../lib/object/digest.js'
import { pullLimits } from '../../lib/remote/version2/pull-message.js'
import { pushLimits } from '../../lib/remote/version2/push-message.js'
import { codecs } from '../../lib/store/pack/pack-format.js'
import { actions } from '../access.js'
import { may, openNamed, type Version2Handler } from './context.js'
import { sendPayload } from './send-payload.js'

/** `GET /v2/`: what this server can do, and its bounds. */
export const capabilities: Version2Handler = async (context, exchange) => {
  const { config } = await openNamed(context, exchange)
  exchange.response.set('Cache-Control', 'no-store').json({
    protocol: 2,
    id: config.id ?? null,
    algorithm: config.algorithm.name,
    algorithms: algorithms.map(({ name }) => name),
    codecs,
    actions: actions.filter(action => may(context, exchange, action)),
    limits: {
      wants: pullLimits.wants,
      haves: pullLimits.haves,
      knownObjects: pullLimits.knownObjects,
      queryDigests: pushLimits.queryDigests,
      candidates: pushLimits.candidates,
    },
  })
}

/** `GET /v2/objects/DIGEST`: a payload. */
export const object: Version2Handler = async (context, exchange) => {
  const digest = parseDigest(exchange.rest[1]?.toString('latin1') ?? '')
  const repository = await openNamed(context, exchange)
  const [info] = await repository.objects.stat([digest])
  if (info === undefined) {
    throw new ObjectNotFoundError(`no object ${digest}`, { digest })
  }
  await sendPayload(context, exchange, { objects: repository.objects, digest, ...info })
}
