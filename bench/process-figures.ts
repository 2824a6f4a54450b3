/** Loaded into a service before it starts: tells its peak memory and how long its event loop was held, when asked. */
import { monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 1

/** What a process says of itself. */
export interface ProcessFigures {
  /** The longest that the event loop was held since it was last asked, in ms. */
  readonly longestHoldMs: number
  readonly rssMb: number
  /** Since it started. */
  readonly peakRssMb: number
}

const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
delay.enable()
process.on('message', () => {
  const figures: ProcessFigures = {
    longestHoldMs: delay.max / 1e6,
    rssMb: process.memoryUsage.rss() / 2 ** 20,
    peakRssMb: process.resourceUsage().maxRSS / 1_024,
  }
  delay.reset()
  process.send?.(figures)
})
