import type { EventLog } from '@tributary/eventlog'
import type { Run } from '@tributary/runs'
import type { LogStream } from '@tributary/sse'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import { type AwayNotes, tellAway } from './run-readers.ts'

/** The attribute that says which sources of a run are away and since when, in ms since 1970. */
const AWAY = 'away'

const away = Compile(Type.Record(Type.String(), Type.Number()))

/** Notes with a run's log which of its sources are away, so that its readers are told at whichever gateway they are. */
export class SharedAway implements AwayNotes {
  readonly #run: Run

  constructor(run: Run) {
    this.#run = run
    // What an earlier executor waited for is asked for anew.
    if (run.attribute(AWAY) !== undefined) this.#store({})
  }

  note(source: string, since: number | undefined): void {
    const { [source]: known, ...others } = awayOf(this.#run.log)
    if (since === known || (since !== undefined && known !== undefined)) return
    this.#store(since === undefined ? others : { ...others, [source]: since })
  }

  #store(sources: Readonly<Record<string, number>>): void {
    const text = Object.keys(sources).length === 0 ? null : JSON.stringify(sources)
    // Where it cannot be stored, readers are not told that they wait.
    this.#run.note({ [AWAY]: text }).catch(() => undefined)
  }
}

/** Tells a stream which sources of its run are away, as long as it lasts. */
export function followAway(log: EventLog, stream: LogStream): void {
  const told = new Map<string, number>()
  const look = () => {
    const sources = awayOf(log)
    for (const source of told.keys()) if (sources[source] === undefined) told.delete(source)
    for (const [source, since] of Object.entries(sources)) {
      if (told.has(source)) continue
      told.set(source, since)
      tellAway(stream, source, since)
    }
  }
  stream.onEnd(log.onAttributes(look))
  look()
}

function awayOf({ attributes }: EventLog): Readonly<Record<string, number>> {
  const text = attributes.get(AWAY)
  if (text === undefined) return {}
  const sources: unknown = JSON.parse(text)
  return away.Check(sources) ? sources : {}
}
