/** One of the colours that an image is mostly made of. */
export interface DominantColour {
  /** `#rrggbb`. */
  readonly hex: string
  /** What part of the pixels it stands for, 0 to 1. */
  readonly share: number
}

type Rgb = readonly [red: number, green: number, blue: number]

/** Pixels of the same 15-bit colour, taken together. */
interface Bin {
  readonly colour: Rgb
  readonly count: number
}

/** How often each pixel is given to the nearest colour anew. More changes nothing that one could see. */
const REFINEMENTS = 8

/**
 * Finds the colours that stand for an image: a median cut of its histogram, refined by k-means.
 *
 * @param pixels red, green, blue and alpha of each. Those more than half transparent do not count.
 * @returns at most `maxColours`, the most frequent first; fewer where the image has fewer.
 */
export function dominantColours(pixels: Uint8Array, maxColours: number): DominantColour[] {
  const bins = histogram(pixels)
  const total = bins.reduce((sum, { count }) => sum + count, 0)
  let groups = medianCut(bins, maxColours)
  for (let round = 0; round < REFINEMENTS; round++) groups = regroup(bins, groups.map(meanColour))
  return groups
    .map((group) => ({ hex: hex(meanColour(group)), share: size(group) / total }))
    .sort((a, b) => b.share - a.share)
    .map(({ hex, share }) => ({ hex, share: Math.round(share * 10_000) / 10_000 }))
}

function histogram(pixels: Uint8Array): Bin[] {
  const sums = new Map<number, { red: number; green: number; blue: number; count: number }>()
  for (let i = 0; i + 3 < pixels.length; i += 4) {
    const [red = 0, green = 0, blue = 0, alpha = 0] = pixels.subarray(i, i + 4)
    if (alpha < 128) continue
    const key = ((red >> 3) << 10) | ((green >> 3) << 5) | (blue >> 3)
    const sum = sums.get(key) ?? { red: 0, green: 0, blue: 0, count: 0 }
    sum.red += red
    sum.green += green
    sum.blue += blue
    sum.count += 1
    sums.set(key, sum)
  }
  return [...sums.values()].map(({ red, green, blue, count }) => ({
    colour: [red / count, green / count, blue / count],
    count,
  }))
}

/** Halves the group that is spread widest, weighed by its pixels, until there are enough. */
function medianCut(bins: readonly Bin[], maxGroups: number): Bin[][] {
  const groups = bins.length === 0 ? [] : [[...bins]]
  while (groups.length < maxGroups) {
    const widest = groups
      .filter((group) => group.length > 1)
      .map((group) => ({ group, ...widestChannel(group) }))
      .sort((a, b) => b.spread * size(b.group) - a.spread * size(a.group))[0]
    if (widest === undefined) break
    groups.splice(groups.indexOf(widest.group), 1, ...halves(widest.group, widest.channel))
  }
  return groups
}

function widestChannel(group: readonly Bin[]): { channel: 0 | 1 | 2; spread: number } {
  const spreads = ([0, 1, 2] as const).map((channel) => {
    let [low, high] = [255, 0]
    for (const { colour } of group) {
      low = Math.min(low, colour[channel])
      high = Math.max(high, colour[channel])
    }
    return { channel, spread: high - low }
  })
  return spreads.reduce((widest, next) => (next.spread > widest.spread ? next : widest))
}

/** Two groups of about as many pixels, neither of them empty. */
function halves(group: Bin[], channel: 0 | 1 | 2): [Bin[], Bin[]] {
  const sorted = group.sort((a, b) => a.colour[channel] - b.colour[channel])
  const half = size(sorted) / 2
  let [cut, count] = [0, 0]
  for (const bin of sorted) {
    if (count >= half) break
    count += bin.count
    cut += 1
  }
  const middle = Math.min(Math.max(cut, 1), sorted.length - 1)
  return [sorted.slice(0, middle), sorted.slice(middle)]
}

/** One round of k-means. A colour that is nearest to nothing goes. */
function regroup(bins: readonly Bin[], centres: readonly Rgb[]): Bin[][] {
  const groups = centres.map((centre) => ({ centre, bins: [] as Bin[] }))
  for (const bin of bins) {
    const nearest = groups.reduce((best, next) =>
      distance(bin.colour, next.centre) < distance(bin.colour, best.centre) ? next : best,
    )
    nearest.bins.push(bin)
  }
  return groups.map(({ bins }) => bins).filter((group) => group.length > 0)
}

function distance(a: Rgb, b: Rgb): number {
  return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2
}

function size(group: readonly Bin[]): number {
  return group.reduce((sum, { count }) => sum + count, 0)
}

function meanColour(group: readonly Bin[]): Rgb {
  const total = size(group)
  const mean = (channel: 0 | 1 | 2) =>
    group.reduce((sum, { colour, count }) => sum + colour[channel] * count, 0) / total
  return [mean(0), mean(1), mean(2)]
}

function hex(colour: Rgb): string {
  return `#${colour.map((value) => Math.round(value).toString(16).padStart(2, '0')).join('')}`
}
