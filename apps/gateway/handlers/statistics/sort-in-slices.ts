/** How many numbers are sorted, or otherwise gone through, between two looks at the progress. */
export const SLICE = 65_536

/** How much `sortInSlices` will have to report for so many numbers. */
export function sortingWork(count: number): number {
  return count * (1 + mergePasses(count))
}

/**
 * Sorts numbers, telling on the way how many it has moved: slice by slice first, then merging neighbours.
 *
 * @returns the sorted numbers, in the array given or in another.
 */
export function sortInSlices(numbers: Float64Array, onWork: (count: number) => void): Float64Array {
  for (let start = 0; start < numbers.length; start += SLICE) {
    const slice = numbers.subarray(start, start + SLICE)
    slice.sort()
    onWork(slice.length)
  }
  let from = numbers
  let to: Float64Array = new Float64Array(numbers.length > SLICE ? numbers.length : 0)
  for (let run = SLICE; run < numbers.length; run *= 2) {
    for (let start = 0; start < from.length; start += 2 * run) {
      mergeNeighbours(
        from,
        to,
        start,
        Math.min(start + run, from.length),
        Math.min(start + 2 * run, from.length),
      )
      onWork(Math.min(2 * run, from.length - start))
    }
    ;[from, to] = [to, from]
  }
  return from
}

function mergePasses(count: number): number {
  return count <= SLICE ? 0 : Math.ceil(Math.log2(Math.ceil(count / SLICE)))
}

function mergeNeighbours(
  from: Float64Array,
  to: Float64Array,
  start: number,
  middle: number,
  end: number,
): void {
  let [left, right] = [start, middle]
  for (let i = start; i < end; i++) {
    const leftValue = left < middle ? (from[left] ?? 0) : Number.POSITIVE_INFINITY
    const rightValue = right < end ? (from[right] ?? 0) : Number.POSITIVE_INFINITY
    if (leftValue <= rightValue) {
      to[i] = leftValue
      left += 1
    } else {
      to[i] = rightValue
      right += 1
    }
  }
}
