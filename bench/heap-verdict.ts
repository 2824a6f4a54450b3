import { growthPercent, type Point } from './trend.ts'

const TEN_MINUTES_MS = 600_000
/** What the collected heap may grow by in ten minutes, in percent. */
const LIMIT_PERCENT = 2
/** Under this time the trend is that of code being compiled and caches that fill. */
const SHORTEST_MS = 60_000
const FEWEST_POINTS = 3

/** What is to be said of how the collected heap grew. */
export interface HeapVerdict {
  /** From when on it was looked at, since the beginning. */
  readonly fromMs: number
  /** In ten minutes, in percent. `undefined` where too little was measured to say. */
  readonly growth: number | undefined
  /** What is allowed, in the same measure. `undefined` where the time was too short to judge. */
  readonly limit: number | undefined
}

/** How long a soak warms up: ten minutes, of a short one a third. */
export function warmUpMs(durationMs: number): number {
  return Math.min(TEN_MINUTES_MS, durationMs / 3)
}

/**
 * Judges the growth of the collected heap after the first ten minutes. A short soak is judged after its first third,
 * and may grow by the same percentage in all of the time that is left; one under a minute and a half is not judged.
 */
export function heapVerdict(points: readonly Point[], durationMs: number): HeapVerdict {
  const fromMs = warmUpMs(durationMs)
  const judgedMs = durationMs - fromMs
  const judged = points.filter(({ atMs }) => atMs >= fromMs)
  if (judged.length < FEWEST_POINTS) return { fromMs, growth: undefined, limit: undefined }
  const limit = judgedMs < SHORTEST_MS ? undefined : LIMIT_PERCENT * Math.max(1, TEN_MINUTES_MS / judgedMs)
  return { fromMs, growth: growthPercent(judged, TEN_MINUTES_MS), limit }
}
