import type { History } from './history.ts'

/** A point of a curve: a step, and a number. @internal */
export type Point = readonly [step: number, value: number]

/** One line of a picture. @internal */
export interface Curve {
  readonly name: string
  readonly points: readonly Point[]
}

/** The loss at each step, and what evaluations said of one metric. @internal */
export const curvesOf = (history: History, metric: string): readonly [loss: Curve, evaluation: Curve] => [
  {
    name: 'loss',
    points: history.flatMap((r): Point[] => (r.kind === 'step' ? [[r.step, r.loss]] : [])),
  },
  {
    name: `evaluation ${metric}`,
    points: history.flatMap((r): Point[] => {
      const value = r.kind === 'evaluation' ? r.metrics[metric] : undefined
      return value !== undefined && Number.isFinite(value) ? [[r.step, value]] : []
    }),
  },
]

/** Round numbers that span a range, about `wanted` of them, the first and last at or beyond its ends. @internal */
export const ticks = (low: number, high: number, wanted: number): readonly number[] => {
  const span = high > low ? high - low : Math.abs(high) || 1
  const rough = span / Math.max(1, wanted)
  const power = 10 ** Math.floor(Math.log10(rough))
  const unit = [1, 2, 5, 10].find((step) => step * power >= rough * (1 - 1e-9))! * power
  const first = Math.floor(low / unit + 1e-9)
  const last = Math.max(first + 1, Math.ceil(high / unit - 1e-9))
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * unit).toPrecision(12)))
}

/** Means over a window that grows with the curve, so that a long one still shows its course. @internal */
export const smoothed = (points: readonly Point[]): readonly Point[] => {
  const half = Math.floor(points.length / 50)
  // Running totals: a long curve must not cost its length times the window.
  const totals = [0]
  for (const [, value] of points) totals.push(totals.at(-1)! + value)
  return points.map(([step], i): Point => {
    const [from, to] = [Math.max(0, i - half), Math.min(points.length, i + half + 1)]
    return [step, (totals[to]! - totals[from]!) / (to - from)]
  })
}

/** A number as an axis shows it. @internal */
export const label = (x: number): string => (Math.abs(x) >= 1000 ? x.toLocaleString('en') : String(x))

/** At most so many points, the lowest and highest of each stretch among them. @internal */
export const thinned = (points: readonly Point[], most: number): readonly Point[] => {
  if (points.length <= most) return points
  const stretch = Math.ceil((2 * points.length) / most)
  return Array.from({ length: Math.ceil(points.length / stretch) }, (_, i) => {
    const part = points.slice(i * stretch, (i + 1) * stretch)
    const low = part.reduce((a, b) => (b[1] < a[1] ? b : a))
    const high = part.reduce((a, b) => (b[1] > a[1] ? b : a))
    return low === high ? [low] : [low, high].toSorted((a, b) => a[0] - b[0])
  }).flat()
}
