/**
 * What the SQLite store costs: appends beside a bare loop that writes the same rows in the same transactions; finding
 * a reader's place in a log of a million events beside one of a thousand; and how long it holds the event loop.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { median, report } from './figures.ts'

const PROGRAM = fileURLToPath(new URL('../packages/eventlog/bench/store-figures.ts', import.meta.url))
const DEFAULT_ROUNDS = 7
/** Of the bare loop's rate. */
const APPEND_TARGET = 0.6
/** Of the time that it takes in the short log. */
const FIND_TARGET = 1.3

/** What the program measures. */
interface StoreFigures {
  readonly eventsARound: number
  readonly appends: readonly {
    readonly batch: number
    readonly bare: readonly number[]
    readonly store: readonly number[]
  }[]
  readonly finds: readonly {
    readonly cursor: string
    readonly small: readonly number[]
    readonly large: readonly number[]
  }[]
  readonly hold: {
    readonly eventsASecond: number
    readonly p50Ms: number
    readonly p999Ms: number
    readonly longestMs: number
    readonly longestAppendMs: number
  }
}

export async function benchStore(rounds = DEFAULT_ROUNDS): Promise<void> {
  const { appends, finds, hold, eventsARound } = await measured(rounds)
  const appendRows = appends.map(({ batch, bare, store }) => ({
    'events a turn': batch,
    'bare loop, events/s': Math.round(median(bare)),
    'store, events/s': Math.round(median(store)),
    ratio: median(store.map((rate, i) => rate / (bare[i] ?? Number.NaN))).toFixed(2),
  }))
  report(`store: appends, ${rounds} rounds of ${eventsARound} events in turn`, appendRows, {
    bench: 'store-append',
    rounds,
    target: APPEND_TARGET,
    appends,
  })
  const findRows = finds.map(({ cursor, small, large }) => ({
    cursor,
    'of 1,000 events, µs': median(small).toFixed(1),
    'of 1,000,000, µs': median(large).toFixed(1),
    ratio: (median(large) / median(small)).toFixed(2),
  }))
  report(`store: a cursor found and a page read from there, ${rounds} rounds in turn`, findRows, {
    bench: 'store-find',
    rounds,
    target: FIND_TARGET,
    finds,
  })
  const holdRow = {
    'events/s': Math.round(hold.eventsASecond),
    'median, ms': hold.p50Ms.toFixed(2),
    '99.9 %, ms': hold.p999Ms.toFixed(1),
    'longest, ms': hold.longestMs.toFixed(1),
    'longest append, ms': hold.longestAppendMs.toFixed(1),
  }
  report('store: how late the event loop is while it appends, trims and checkpoints', [holdRow], {
    bench: 'store-hold',
    ...hold,
  })
}

async function measured(rounds: number): Promise<StoreFigures> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--conditions=@tributary/source',
    PROGRAM,
    String(rounds),
  ])
  return JSON.parse(stdout)
}
