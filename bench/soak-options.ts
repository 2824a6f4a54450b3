import { parseArgs } from 'node:util'

export interface SoakOptions {
  readonly minutes: number
  readonly streams: number
  /** Events a second, each to one group. */
  readonly ratePerS: number
  /** Streams of a group. */
  readonly groupSize: number
  /** The share of all readers that leaves and comes back in a minute. */
  readonly churnPerMinute: number
}

export const SOAK_USAGE = `Usage: pnpm soak [--minutes N] [--streams N] [--rate N] [--group-size N] [--churn N]

  --minutes     how long it publishes, 60 by default
  --streams     readers, 5000 by default
  --rate        events a second, each to one group; 200 by default
  --group-size  readers of a group, 100 by default
  --churn       the share of the readers that leaves and comes back in a minute, 0.1 by default
`

/** Reads the command's options. @throws Error where one is not known, or is no number of its kind. */
export function readSoakOptions(args: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '60' },
      streams: { type: 'string', default: '5000' },
      rate: { type: 'string', default: '200' },
      'group-size': { type: 'string', default: '100' },
      churn: { type: 'string', default: '0.1' },
    },
  })
  return {
    minutes: positive('minutes', values.minutes),
    streams: whole('streams', values.streams),
    ratePerS: positive('rate', values.rate),
    groupSize: whole('group-size', values['group-size']),
    churnPerMinute: positive('churn', values.churn),
  }
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0 && Number.isFinite(value))) throw new Error(`--${name} must be more than 0; it is ${text}`)
  return value
}

function whole(name: string, text: string): number {
  const value = positive(name, text)
  if (!Number.isInteger(value)) throw new Error(`--${name} must be a whole number; it is ${text}`)
  return value
}
