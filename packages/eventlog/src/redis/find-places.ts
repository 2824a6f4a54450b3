import type { Position } from '@tributary/protocol'
import type { LogParts } from './log-parts.ts'
import { FIND } from './log-scripts.ts'
import { AnswerReader } from './script-answer.ts'

/** What an append is found by. */
export interface AppendName {
  readonly origin: string
  /** By which another may have stored it; '' for none. */
  readonly key: string
}

export interface FoundPlaces {
  readonly headN: number
  /** Of what is older nothing can be said. */
  readonly oldestN: number
  /** Where the first entry of each stands. */
  readonly places: readonly (Position | undefined)[]
}

/** Looks which of these stand in the log behind a number; `undefined` where the log is gone, or another. */
export async function findPlaces(
  { store, keys, state }: Pick<LogParts, 'store' | 'keys' | 'state'>,
  sinceN: number,
  names: readonly AppendName[],
): Promise<FoundPlaces | undefined> {
  const asked = names.flatMap(({ origin, key }) => [origin, key])
  const answer = new AnswerReader(await store.ask(FIND, keys, [state.life, sinceN, ...asked]))
  if (answer.text() !== 'ok') return undefined
  return { headN: answer.number(), oldestN: answer.number(), places: names.map(() => answer.place()) }
}
