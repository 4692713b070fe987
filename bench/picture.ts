/** Small charts side by side as one SVG; both axes logarithmic, so that a power is a straight line. */
import type { Chart } from './results.ts'

const [width, height, columns] = [240, 180, 3]
const box = { left: 46, right: width - 14, top: 34, bottom: height - 34 }
const inks = ['#2a9d5c', '#d9822b', '#3b6fd4']

const style = `<style>
text { font: 11px system-ui, Helvetica, Arial, 'DejaVu Sans', sans-serif; fill: #57606a }
.title { font-size: 13px; font-weight: 600; fill: #24292f }
path { fill: none; stroke-linejoin: round; stroke-width: 2 }
.grid { stroke: #8888; stroke-width: .5 }
@media (prefers-color-scheme: dark) { text { fill: #9da7b1 } .title { fill: #e6edf3 } }
</style>`

const round = (x: number): number => Math.round(x * 10) / 10

/** Round numbers in a range, some for each power of ten. */
const ticks = ({ low, high }: Range): readonly number[] => {
  const first = Math.floor(Math.log10(low))
  const powers = Array.from({ length: Math.ceil(Math.log10(high)) - first + 1 }, (_, i) => 10 ** (first + i))
  const steps = high / low > 200 ? [1, 3] : [1, 2, 5]
  return powers.flatMap((power) => steps.map((step) => step * power)).filter((v) => v >= low && v <= high)
}

interface Range {
  readonly low: number
  readonly high: number
}

const rangeOf = (values: readonly number[]): Range => ({ low: Math.min(...values), high: Math.max(...values) })

const chartSvg = ({ title, x, series }: Chart, heights: Range): string => {
  const all = series.flatMap(({ points }) => points)
  const scale = ({ low, high }: Range, from: number, to: number) => ({
    low,
    high,
    place: (v: number): number => round(from + (Math.log(v / low) / Math.log(high / low || 2)) * (to - from)),
  })
  const across = scale(rangeOf(all.map(([v]) => v)), box.left, box.right)
  const up = scale(heights, box.bottom, box.top)
  const rows = ticks(up).map(
    (v) =>
      `<path class="grid" d="M${box.left} ${up.place(v)}H${box.right}"/>` +
      `<text x="${box.left - 6}" y="${up.place(v) + 4}" text-anchor="end">${Number(v.toPrecision(1))}</text>`,
  )
  const marks = [...new Set(all.map(([v]) => v))].map(
    (v) => `<text x="${across.place(v)}" y="${box.bottom + 14}" text-anchor="middle">${v}</text>`,
  )
  const lines = series.flatMap(({ name, points }, i) => [
    `<path stroke="${inks[i % inks.length]}" d="${points
      .map(([a, b], k) => `${k === 0 ? 'M' : 'L'}${across.place(a)} ${up.place(b)}`)
      .join('')}"/>`,
    `<text x="${box.left + 6}" y="${box.top + 10 + 13 * i}" style="fill:${inks[i % inks.length]}">${name}</text>`,
  ])
  return [
    `<text class="title" x="${box.left}" y="18">${title}</text>`,
    ...rows,
    ...marks,
    `<text x="${(box.left + box.right) / 2}" y="${box.bottom + 28}" text-anchor="middle">${x}</text>`,
    `<text x="${box.left - 6}" y="18" text-anchor="end">ms</text>`,
    ...lines,
  ].join('\n')
}

/** The charts as one picture, in milliseconds. */
export const pictureSvg = (charts: readonly Chart[]): string => {
  // One height for all, so that what hardly matters looks as flat as it is.
  const heights = rangeOf(charts.flatMap(({ series }) => series.flatMap(({ points }) => points.map(([, ms]) => ms))))
  const [w, h] = [width * columns, height * Math.ceil(charts.length / columns)]
  const cells = charts.map(
    (chart, i) =>
      `<g transform="translate(${(i % columns) * width} ${Math.floor(i / columns) * height})">\n${chartSvg(chart, heights)}\n</g>`,
  )
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${w} ${h}" width="${w}" height="${h}" role="img">`,
    '<title>Milliseconds of a step by each size</title>',
    style,
    ...cells,
    '</svg>',
  ].join('\n')}\n`
}
