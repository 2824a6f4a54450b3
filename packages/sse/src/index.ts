export { type BusyOptions, busyOf, busyStream } from './busy.ts'
export {
  DEFAULT_FORM,
  type EventHead,
  entryFrame,
  eventFrame,
  type FrameForm,
} from './entry-frame.ts'
export { EventStream, type EventStreamOptions } from './event-stream.ts'
export { FlowProbe, type FlowProbeOptions, PROBE_EVENT, PROBE_RETENTION } from './flow-probe.ts'
export { Frame } from './frame.ts'
export {
  HeaderError,
  SseHeaderBuilder,
  type StreamHeaders,
  sseHeaders,
} from './header-builder.ts'
export { HeartbeatFrames } from './heartbeat-frames.ts'
export { LogReader, type LogReaderOptions, type OverflowPolicy } from './log-reader.ts'
export { LogStream, type ServeOptions } from './log-stream.ts'
export { NodeSink } from './node-sink.ts'
export { type PollOptions, pollLog } from './poll-log.ts'
export { PollPage } from './poll-page.ts'
export { type CursorCarriers, type RequestCursor, requestCursor } from './request-cursor.ts'
export { type SpreadOptions, spread } from './spread.ts'
export {
  DEFAULT_MAX_STREAMS,
  StreamAdmission,
  type StreamLimits,
  type StreamSlot,
} from './stream-admission.ts'
export type { RevocationCheck, StreamCredential } from './stream-credential.ts'
export type { StreamEnd } from './stream-end.ts'
export type { DropReason, StreamMeter } from './stream-meter.ts'
export { StreamServer } from './stream-server.ts'
export { DEFAULT_HEARTBEAT_MS, type StreamServerOptions } from './stream-server-options.ts'
export type { SinkFactory, SinkOwner, StreamSink } from './stream-sink.ts'
export { DEFAULT_TICK_MS, TimerWheel } from './timer-wheel.ts'
export { DEFAULT_MAX_WAITING_POLLS, WaitingPolls } from './waiting-polls.ts'
export { WebSink } from './web-sink.ts'
export { WriteTurn } from './write-turn.ts'
