import type { IncomingMessage } from 'node:http'
import express, {
  type Express,
  type NextFunction,
  type Request,
  type Response,
} from 'express'
import type { Logger } from './log-entry.js'
import type { ServerMetrics } from './operations/server-metrics.js'
import { findRetryAfter, problemOf, sendProblem } from './problem.js'
import { RequestLog } from './request-log.js'
import { refuseBody } from './unread-body.js'
import type { Upgradable } from './upgrade-request.js'
import { handleVersion1 } from './version1-handler.js'
import type { Version2Context } from './version2/context.js'
import { findVersion2Path, handleVersion2 } from './version2/version2-handler.js'

/** What the application works with. */
export type ApplicationContext = Version2Context & {
  readonly logger: Logger
  readonly metrics: ServerMetrics
  /** Why the server is not ready, if it is not. */
  readonly findTrouble: () => Promise<string | undefined>
  /** Raw connections behind requests that came with upgrade headers. */
  readonly upgradables: WeakMap<IncomingMessage, Upgradable>
}

/** Makes the HTTP application: health, and both protocols at the path of each repository. */
export function createApplication(context: ApplicationContext): Express {
  const application = createExpress()
  const logs = new WeakMap<Request, RequestLog>()
  const logOf = (request: Request): RequestLog =>
    logs.get(request) ?? new RequestLog(context.logger, request)
  application.use((request, response, next) => {
    const log = logOf(request)
    logs.set(request, log)
    log.follow(response)
    response.set('X-Request-Id', log.id)
    // Elsewhere a body has no meaning: the connection is not kept to read one to its end.
    const hasBody = request.headers['content-length'] !== undefined || isChunked(request)
    if (hasBody && !isVersion2Post(request)) response.set('Connection', 'close')
    next()
  })
  application.get('/healthz', (_, response) => void response.type('text').send('ok\n'))
  // oxlint-disable oxc/no-async-endpoint-handlers -- Express 5 takes rejections
  application.get('/readyz', async (_, response) => {
    const trouble = await context.findTrouble()
    if (trouble === undefined) response.type('text').send('ok\n')
    else sendProblem(response, { status: 503, detail: trouble })
  })
  application.get('/metrics', async (request, response) => {
    const { admission, metrics } = context
    const principal = await admission.authenticate(request)
    logOf(request).add({ who: principal.name })
    admission.require(principal, 'admin', '')
    await sendMetrics(metrics, response)
  })
  application.use(async (request, response) => {
    const log = logOf(request)
    const upgradable = context.upgradables.get(request)
    const path = findVersion2Path(request.path)
    if (path !== undefined) {
      await handleVersion2(context, { request, response, log, upgradable }, path)
      return
    }
    await handleVersion1(context, { request, response, log, upgradable })
  })
  // oxlint-enable oxc/no-async-endpoint-handlers
  // Express knows an error handler by its four parameters.
  application.use(
    (error: unknown, request: Request, response: Response, _next: NextFunction) => {
      logs.get(request)?.addError(error)
      // What was half sent is cut off, so that nobody takes it for whole.
      if (response.headersSent) {
        response.destroy()
        return
      }
      const seconds = findRetryAfter(error)
      if (seconds !== undefined) response.set('Retry-After', String(seconds))
      refuseBody(request, response)
      sendProblem(response, problemOf(error))
    },
  )
  return application
}

/** Makes the application that serves nothing but metrics, to everyone who reaches it. */
export function createMetricsApplication(metrics: ServerMetrics): Express {
  const application = createExpress()
  // oxlint-disable-next-line oxc/no-async-endpoint-handlers -- Express 5 takes rejections
  application.get('/metrics', async (_, response) => sendMetrics(metrics, response))
  application.use((_, response) => sendProblem(response, { status: 404 }))
  return application
}

function createExpress(): Express {
  const application = express()
  application.disable('x-powered-by')
  application.disable('etag')
  application.enable('case sensitive routing')
  application.enable('strict routing')
  application.set('query parser', false)
  return application
}

async function sendMetrics(metrics: ServerMetrics, response: Response): Promise<void> {
  const text = await metrics.text()
  response.set('Content-Type', metrics.contentType).set('Cache-Control', 'no-store')
  response.send(text)
}

function isVersion2Post({ method, path }: Request): boolean {
  return ['POST', 'PUT'].includes(method) && findVersion2Path(path) !== undefined
}

function isChunked(request: Request): boolean {
  return request.headers['transfer-encoding'] !== undefined
}
