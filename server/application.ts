import type { IncomingMessage } from 'node:http'
import express, {
  type Express,
  type NextFunction,
  type Request,
  type Response,
} from 'express'
import type { Logger } from './log-entry.js'
import { problemOf, sendProblem } from './problem.js'
import { RequestLog } from './request-log.js'
import type { Upgradable } from './upgrade-request.js'
import { handleVersion1, type Version1Context } from './version1-handler.js'

/** What the application works with. */
export type ApplicationContext = Version1Context & {
  readonly logger: Logger
  /** Raw connections behind requests that came with upgrade headers. */
  readonly upgradables: WeakMap<IncomingMessage, Upgradable>
}

/** Makes the HTTP application: health, and version 1 at the path of each repository. */
export function createApplication(context: ApplicationContext): Express {
  const logs = new WeakMap<Request, RequestLog>()
  const application = express()
  application.disable('x-powered-by')
  application.disable('etag')
  application.enable('case sensitive routing')
  application.enable('strict routing')
  application.set('query parser', false)
  application.use((request, response, next) => {
    const log = new RequestLog(context.logger, request)
    logs.set(request, log)
    log.follow(response)
    // A body has no meaning here: the connection is not kept to read one to its end.
    if (request.headers['content-length'] !== undefined || isChunked(request)) {
      response.set('Connection', 'close')
    }
    next()
  })
  application.get('/healthz', (_, response) => void response.type('text').send('ok\n'))
  application.get('/readyz', (_, response) => {
    if (context.isClosing()) return sendProblem(response, { status: 503 })
    context.shelf.check()
    response.type('text').send('ok\n')
  })
  // oxlint-disable-next-line oxc/no-async-endpoint-handlers -- Express 5 takes rejections
  application.use(async (request, response) => {
    const log = logs.get(request) ?? new RequestLog(context.logger, request)
    const upgradable = context.upgradables.get(request)
    await handleVersion1(context, { request, response, log, upgradable })
  })
  // Express knows an error handler by its four parameters.
  application.use(
    (error: unknown, request: Request, response: Response, next: NextFunction) => {
      logs.get(request)?.addError(error)
      // Express then cuts off what was half sent.
      if (response.headersSent) next(error)
      else sendProblem(response, problemOf(error))
    },
  )
  return application
}

function isChunked(request: Request): boolean {
  return request.headers['transfer-encoding'] !== undefined
}
