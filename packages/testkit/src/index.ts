export {
  type CollectedEvent,
  type CollectorInit,
  DEFAULT_WAIT_MS,
  EventCollector,
  type EventMatch,
} from './event-collector.ts'
export { allDataOf, dataOf, type EventData } from './event-data.ts'
export { FakeClock } from './fake-clock.ts'
export { freePort } from './free-port.ts'
export { ScriptedUpstream, type UpstreamHandler, type UpstreamRequest } from './scripted-upstream.ts'
export { steps, type UpstreamStep } from './upstream-step.ts'
