/** One measurement of something that is watched over time. */
export interface Point {
  readonly atMs: number
  readonly value: number
}

/** The straight line that lies closest to some points. */
export interface Trend {
  /** What it rises by in a millisecond. */
  readonly slope: number
  /** Its value at the first of the points. */
  readonly start: number
}

/** The line of least squares. @throws RangeError where fewer than two moments were measured. */
export function trendOf(points: readonly Point[]): Trend {
  const [first] = points
  if (first === undefined) throw new RangeError('A trend needs points')
  const meanMs = points.reduce((sum, { atMs }) => sum + atMs, 0) / points.length
  const mean = points.reduce((sum, { value }) => sum + value, 0) / points.length
  const spread = points.reduce((sum, { atMs }) => sum + (atMs - meanMs) ** 2, 0)
  if (spread === 0) throw new RangeError('A trend needs two moments')
  const shared = points.reduce((sum, { atMs, value }) => sum + (atMs - meanMs) * (value - mean), 0)
  const slope = shared / spread
  return { slope, start: mean + slope * (first.atMs - meanMs) }
}

/** What something grows by within a time, in percent of where its trend began. */
export function growthPercent(points: readonly Point[], withinMs: number): number {
  const { slope, start } = trendOf(points)
  return (100 * slope * withinMs) / start
}
