import { defineTask, TaskError } from '@tributary/runs'
import Type from 'typebox'
import { CompensatedSum } from './statistics/compensated-sum.ts'
import { randomNumbers } from './statistics/random-numbers.ts'
import { SLICE, sortInSlices, sortingWork } from './statistics/sort-in-slices.ts'

/** The most numbers that one task takes, given or generated. */
export const MAX_NUMBERS = 5_000_000
export const DEFAULT_COUNT = 1_000_000
export const PERCENTILES = [1, 5, 10, 25, 50, 75, 90, 95, 99] as const

export default defineTask({
  name: 'Calculate Stats',
  input: Type.Object(
    {
      numbers: Type.Optional(
        Type.Array(Type.Number(), { minItems: 1, maxItems: MAX_NUMBERS, description: 'What to look at.' }),
      ),
      count: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: MAX_NUMBERS,
          description:
            'How many to generate, evenly from 0 to 1, where `numbers` is absent. Default 1000000.',
        }),
      ),
      seed: Type.Optional(
        Type.Integer({ minimum: 0, maximum: 4_294_967_295, description: 'Of what is generated. Default 1.' }),
      ),
    },
    { additionalProperties: false },
  ),
  cpuBound: true,
  idempotent: true,
  run({ progress }, { numbers: given, count = given?.length ?? DEFAULT_COUNT, seed = 1 }) {
    if (given !== undefined && count !== given.length) {
      throw new TaskError('`numbers` are given: `count` would generate others, leave one of them out')
    }
    const work = new Work(3 * count + sortingWork(count), progress)
    work.begin(given === undefined ? 'Generating' : 'Reading')
    const next = randomNumbers(seed)
    const numbers = new Float64Array(count)
    eachSlice(count, work, (i) => {
      numbers[i] = given?.[i] ?? next()
    })

    work.begin('Summing')
    const sum = sumOf(numbers, work, (value) => value)
    const mean = sum / count

    work.begin('Measuring the spread')
    const variance = sumOf(numbers, work, (value) => (value - mean) ** 2) / count

    work.begin('Sorting')
    const sorted = sortInSlices(numbers, (done) => work.add(done))
    const at = (percent: number) => quantile(sorted, percent / 100)
    return {
      count,
      generated: given === undefined ? { seed } : null,
      sum,
      mean,
      /** Of these numbers as a whole: divided by their count, not by one less. */
      variance,
      stddev: Math.sqrt(variance),
      min: at(0),
      max: at(100),
      median: at(50),
      percentiles: Object.fromEntries(PERCENTILES.map((percent) => [`p${percent}`, at(percent)])),
    }
  },
})

/** What is done of all that is to do, told at each further percent. */
class Work {
  readonly #total: number
  readonly #progress: (report: { progress: number; message: string }) => void
  #message = ''
  #done = 0
  #toldPercent = 0

  constructor(total: number, progress: (report: { progress: number; message: string }) => void) {
    this.#total = total
    this.#progress = progress
  }

  begin(message: string): void {
    this.#message = message
  }

  add(count: number): void {
    this.#done += count
    const percent = Math.floor((this.#done / this.#total) * 100)
    if (percent === this.#toldPercent) return
    this.#toldPercent = percent
    this.#progress({ progress: percent, message: this.#message })
  }
}

function eachSlice(count: number, work: Work, visit: (index: number) => void): void {
  for (let start = 0; start < count; start += SLICE) {
    const end = Math.min(start + SLICE, count)
    for (let i = start; i < end; i++) visit(i)
    work.add(end - start)
  }
}

function sumOf(numbers: Float64Array, work: Work, term: (value: number) => number): number {
  const sum = new CompensatedSum()
  eachSlice(numbers.length, work, (i) => sum.add(term(numbers[i] ?? 0)))
  if (!Number.isFinite(sum.value)) throw new TaskError('The numbers are too large to be summed')
  return sum.value
}

/** Between the two nearest where it falls between them (Hyndman and Fan's type 7, the usual one). */
function quantile(sorted: Float64Array, part: number): number {
  const place = (sorted.length - 1) * part
  const below = sorted[Math.floor(place)] ?? 0
  const above = sorted[Math.ceil(place)] ?? below
  return below + (above - below) * (place - Math.floor(place))
}
