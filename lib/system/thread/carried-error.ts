import * as errors from '../../errors.js'

/** An error as messages between threads carry it; by themselves they drop class and fields. */
export type CarriedError =
  | {
      readonly kind: 'error'
      readonly name: string
      readonly message: string
      readonly stack: string | undefined
      /** What else it has: code and facts, or errno and path of a failed call. */
      readonly fields: Readonly<Record<string, unknown>>
      readonly cause: CarriedError | undefined
    }
  /** Something else that was thrown. */
  | { readonly kind: 'value'; readonly value: unknown }

type ErrorClass<Kind extends Error> = new (message: string) => Kind

// Causes may go round in a circle.
const maxCauses = 8

const isOurs = (value: unknown): value is ErrorClass<errors.CairnError> =>
  typeof value === 'function' && value.prototype instanceof errors.CairnError

const exported: readonly unknown[] = Object.values(errors)

// Ours by their codes, since a bundler may change names.
const classes: ReadonlyMap<string, ErrorClass<Error>> = new Map<
  string,
  ErrorClass<Error>
>([
  ...[EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map(
    one => [one.name, one] as const,
  ),
  ...exported.filter(isOurs).map(one => [new one('').code, one] as const),
])

/** Takes apart what was thrown. */
export function packError(thrown: unknown, causes = maxCauses): CarriedError {
  if (!(thrown instanceof Error)) return { kind: 'value', value: thrown }
  const { message, stack, cause } = thrown
  return {
    kind: 'error',
    name: thrown instanceof errors.CairnError ? thrown.code : thrown.name,
    message,
    stack,
    fields: fieldsOf(thrown),
    cause: cause === undefined || causes === 0 ? undefined : packError(cause, causes - 1),
  }
}

// Its cause has a place of its own, however it was set.
function fieldsOf(error: Error): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(error).filter(([key]) => key !== 'cause'))
}

/** Puts together what can be thrown: of the same class, with the same fields and causes. */
export function unpackError(carried: CarriedError): unknown {
  if (carried.kind === 'value') return carried.value
  const { name, message, stack, fields, cause } = carried
  const known = classes.get(name)
  const error = new (known ?? Error)(message)
  if (known === undefined) hide(error, 'name', name)
  hide(error, 'stack', stack)
  if (cause !== undefined) hide(error, 'cause', unpackError(cause))
  return Object.assign(error, fields)
}

// As of every error: not among what is shown of its fields.
function hide(error: Error, key: 'name' | 'stack' | 'cause', value: unknown): void {
  Object.defineProperty(error, key, { value, configurable: true, writable: true })
}
