/** Loaded into a server before it starts, which runs with `--expose-gc`: collects, then tells what is left. */
import { setTimeout as delay } from 'node:timers/promises'

/** What a process holds after a forced collection. */
export interface HeapFigures {
  readonly rssKb: number
  readonly heapKb: number
  /** Buffers and what else lies outside of the heap. */
  readonly externalKb: number
}

/**
 * What is freed in one collection may free more in the next; pages are given back a little later. As where memory runs
 * out, or whole pages that are nearly empty would be counted as what the streams hold.
 */
const COLLECTIONS = 3
const PAUSE_MS = 100

process.on('message', async () => {
  for (let n = 0; n < COLLECTIONS; n++) {
    globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    await delay(PAUSE_MS)
  }
  const { rss, heapUsed, external } = process.memoryUsage()
  const figures: HeapFigures = { rssKb: rss / 1_024, heapKb: heapUsed / 1_024, externalKb: external / 1_024 }
  process.send?.(figures)
})
