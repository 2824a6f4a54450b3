/** Loaded into a service before it starts: collects its garbage when asked, and tells what is left. */
import { readdirSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const RESOLUTION_MS = 10
/** How often it collects: what the first collection finalises is gone with the second. */
const COLLECTIONS = 2

/** What a process holds. Sizes are after a forced collection. */
export interface SoakFigures {
  readonly heapMb: number
  /** Memory outside of the heap that objects of the heap hold: buffers, mostly. */
  readonly externalMb: number
  readonly rssMb: number
  /** How late the event loop was since it was last asked, in ms, without the collections. */
  readonly delayMs: { readonly median: number; readonly p99: number; readonly longest: number }
  /** Files and sockets that it has open; where the system does not say, what keeps its event loop alive. */
  readonly handles: number
  /** CPU time since it started, in ms. */
  readonly cpuMs: number
}

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
delay.enable()

process.on('message', async () => {
  const ms = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS)
  const delayMs = {
    median: ms(delay.percentile(50)),
    p99: ms(delay.percentile(99)),
    longest: ms(delay.max),
  }
  for (let turn = 0; turn < COLLECTIONS; turn++) {
    collect()
    await new Promise(setImmediate)
  }
  const { heapUsed, external, rss } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const figures: SoakFigures = {
    heapMb: heapUsed / 2 ** 20,
    externalMb: external / 2 ** 20,
    rssMb: rss / 2 ** 20,
    delayMs,
    handles: openHandles(),
    cpuMs: (user + system) / 1_000,
  }
  process.send?.(figures)
  // The hold of the collections is noticed at its next tick.
  setTimeout(() => delay.reset(), 3 * RESOLUTION_MS)
})

function openHandles(): number {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return process.getActiveResourcesInfo().length
  }
}
