/** The places that a tool's commands are about: absolute paths. */
export type Places = {
  /** A folder of the tool's own, for its repository. */
  readonly repo: string
  /** The tree to store. */
  readonly tree: string
  /** The tree that an upgrade of it makes. */
  readonly next: string
  /** Where to check out. */
  readonly out: string
}

/** A command for bash, from places. */
export type Command = (places: Places) => string

/** A program that keeps trees, and how it is told to. */
export type Tool = {
  readonly name: string
  /** What must be installed. */
  readonly program: string
  /** `store` ends when all is on disk; others are timed with a sync after it. */
  readonly durable: boolean
  /** Whether it is one of those that the targets of a cold store name. */
  readonly rival: boolean
  /** Lines in front of each command: its environment. */
  readonly environment?: Command
  readonly init: Command
  readonly store: Command
  /** Stores `next` where `tree` is stored already; as `store` where it is missing. */
  readonly upgrade?: Command
  /** Writes `tree` into `out`, which is not there. */
  readonly checkout?: Command
  /** Brings `out`, which holds `tree`, to `next`. */
  readonly update?: Command
  /** Verifies every byte. */
  readonly verify?: Command
  /** Forgets `tree`, so that `collect` has something to remove. */
  readonly forget?: Command
  readonly collect?: Command
}

/** What is measured, in order: each needs those before. */
export const phases = [
  'cold store',
  'second store',
  'checkout',
  'upgraded tree',
  'update checkout',
  'verify',
  'collect',
] as const

export type Phase = (typeof phases)[number]
