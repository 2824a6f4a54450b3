import type { ConsistencyFault } from '@tributary/protocol'
import type { LogStream } from './log-stream.ts'
import { StreamTimer } from './stream-timer.ts'
import type { TimerWheel } from './timer-wheel.ts'

export interface HeldStreams {
  /** The streams that a server holds, each with its timer. */
  readonly streams: ReadonlyMap<LogStream, StreamTimer>
  readonly wheel: TimerWheel
  /** Lets go of one that has ended, and of all that was held for it. */
  readonly forget: (opened: LogStream) => void
}

/** What of the streams and timers of a server does not fit together. Looks at each. */
export function streamFaults(held: HeldStreams): ConsistencyFault[] {
  return [...faultsOfStreams(held), ...faultsOfTimers(held)]
}

function* faultsOfStreams({ streams, forget }: HeldStreams): Iterable<ConsistencyFault> {
  for (const opened of streams.keys()) {
    const { stream, connectionId: id } = opened
    if (stream.ended) {
      const detail = 'a stream that has ended is still held'
      yield { kind: 'leaked_connection', id, detail, correct: () => forget(opened) }
    } else if (stream.abandoned) {
      const detail = 'its connection is gone, and the stream goes on'
      yield { kind: 'leaked_connection', id, detail, correct: () => stream.onSinkClosed() }
    }
  }
}

function* faultsOfTimers({ streams, wheel }: HeldStreams): Iterable<ConsistencyFault> {
  const expected = new Set(streams.values())
  const found = new Set<StreamTimer>()
  for (const [tick, timer] of wheel.scheduled()) {
    if (!(timer instanceof StreamTimer)) continue
    // What stands at a tick that is over is not called any more.
    if (tick > wheel.tick) found.add(timer)
    if (expected.has(timer)) continue
    const detail = 'the timer of a stream that is not held any more'
    yield {
      kind: 'leaked_timer',
      id: timer.connectionId,
      detail,
      // It may have gone on to another tick meanwhile.
      correct: () => {
        wheel.remove(tick, timer)
        timer.stop()
      },
    }
  }
  for (const [opened, timer] of streams) {
    if (opened.stream.ended || found.has(timer)) continue
    const detail = 'a stream without its timer: it would have no heartbeat and no end'
    yield { kind: 'lost_timer', id: opened.connectionId, detail, correct: () => timer.restart() }
  }
}
