import { hash } from 'node:crypto'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { IndexedRun } from '../run-index.ts'
import type { RunStart } from '../run-list.ts'
import { RunRecord } from '../run-record.ts'

/** What stands of a run among the records, beside where it stands in the orders. */
const ToldRun = Type.Object({
  all: Type.String(),
  byUser: Type.String(),
  record: RunRecord,
  lastEventId: Type.Optional(Type.String()),
})
const toldRun = Compile(ToldRun)

/** Digits of a time in ms, so that the order of texts is that of times. */
const TIME_DIGITS = 16

/** Where a run stands among all: later ones behind it. */
export function orderOf({ startedAt, runId }: RunStart): string {
  return `${String(Math.trunc(startedAt)).padStart(TIME_DIGITS, '0')} ${runId}`
}

/** What begins the orders of a user's runs: of one length, whatever he is called. */
export function userOrder(userId: string): string {
  return `${hash('sha256', userId, 'base64url')} `
}

export function runIdOf(order: string): string {
  return order.slice(order.lastIndexOf(' ') + 1)
}

export interface RunOrders {
  readonly all: string
  readonly byUser: string
}

export function ordersOf({ runId, record: { startedAt, userId } }: IndexedRun): RunOrders {
  const all = orderOf({ startedAt, runId })
  return { all, byUser: userOrder(userId) + all }
}

export function formatTold(run: IndexedRun): string {
  const { record, lastEventId } = run
  return JSON.stringify({ ...ordersOf(run), record, lastEventId })
}

/** `undefined` where it is none, as one of a later version. */
export function parseTold(runId: string, text: string): IndexedRun | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (!toldRun.Check(value)) return undefined
    return { runId, record: value.record, lastEventId: value.lastEventId }
  } catch {
    return undefined
  }
}
