import { type CollectedEvent, EventCollector } from '@tributary/testkit'
import { expect } from 'vitest'
import { logged, runIdOf } from './services.ts'

/** Reads on where a reader was, perhaps at another gateway. */
export function readOn(url: string, reader: EventCollector): Promise<EventCollector> {
  return EventCollector.open(`${url}/api/runs/${runIdOf(reader)}/events`, {
    headers: { 'last-event-id': String(reader.lastEventId) },
  })
}

/** What several readers of a run, one after another, got of its log; every event once and in order. */
export function wholeOf(...readers: EventCollector[]): CollectedEvent[] {
  const events = readers.flatMap(logged)
  const places = events.map(({ id }) => Number(id?.split('-').at(-1)))
  expect(places).toEqual(places.map((_, index) => index + 1))
  for (const reader of readers) expect(reader.ofType('gap')).toEqual([])
  expect(events.filter(({ type }) => type === 'complete')).toHaveLength(1)
  expect(events.at(-1)?.type).toBe('complete')
  return events
}

/** The data of the events of a type that came from a source. */
export function ofSource(events: readonly CollectedEvent[], type: string, source: string) {
  return events
    .filter((event) => event.type === type)
    .map(({ data }) => Object(data))
    .filter((data) => data.source === source)
}

/** From 1 to this. */
export function upTo(n: number): number[] {
  return Array.from({ length: n }, (_, index) => index + 1)
}
