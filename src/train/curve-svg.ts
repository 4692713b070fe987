import { curvesOf, label, smoothed, thinned, ticks } from './curve.ts'
import type { Point } from './curve.ts'
import type { History } from './history.ts'

/** How a loss curve is drawn. */
export interface CurveSvgOptions {
  readonly title?: string
  /** In pixels; 720 by default. */
  readonly width?: number
  /** In pixels; 360 by default. */
  readonly height?: number
  /** The metric of evaluations that is drawn beside the loss; `loss` by default. */
  readonly metric?: string
}

/**
 * A loss curve as a standalone SVG picture: each step faint, their course in colour, evaluations as dots.
 *
 * It reads on light and on dark ground.
 *
 * @example
 * ```ts
 * import { curveSvg } from 'espalier'
 *
 * const svg = curveSvg([1, 2, 3].map((step) => ({ kind: 'step', step, epoch: 1, loss: 1 / step })), { title: 'A < B' })
 * svg.includes('A &lt; B') // => true
 * ```
 */
export const curveSvg = (
  history: History,
  { title = 'Training', width = 720, height = 360, metric = 'loss' }: CurveSvgOptions = {},
): string => {
  const [loss, evaluation] = curvesOf(history, metric)
  const values = [...loss.points, ...evaluation.points]
  const range = (at: 0 | 1): readonly [number, number] =>
    values.reduce(([low, high], p) => [Math.min(low, p[at]), Math.max(high, p[at])], [Infinity, -Infinity])
  const [first, last] = values.length === 0 ? [0, 1] : range(0)
  const [low, high] = values.length === 0 ? [0, 1] : range(1)
  const columns = ticks(first === 1 ? 0 : first, last, 6).filter((x) => Number.isInteger(x) && x <= last)
  const rows = ticks(low, high, 5)
  const [bottom, top] = [rows[0]!, rows.at(-1)!]

  const box = { left: 64, right: width - 20, top: 56, bottom: height - 48 }
  const start = Math.min(first, columns[0] ?? first)
  const x = (step: number): number => round(box.left + ((step - start) / (last - start || 1)) * (box.right - box.left))
  const y = (value: number): number => round(box.bottom - ((value - bottom) / (top - bottom)) * (box.bottom - box.top))
  const path = (points: readonly Point[]): string =>
    points.map(([step, value], i) => `${i === 0 ? 'M' : 'L'}${x(step)} ${y(value)}`).join('')
  const [faint, course] = [thinned(loss.points, 1200), thinned(smoothed(loss.points), 1200)]

  const grid = rows.map(
    (v) =>
      `<path class="grid" d="M${box.left} ${y(v)}H${box.right}"/>` +
      `<text x="${box.left - 10}" y="${y(v) + 4}" text-anchor="end">${label(v)}</text>`,
  )
  const steps = columns.map((v) => `<text x="${x(v)}" y="${box.bottom + 20}" text-anchor="middle">${label(v)}</text>`)
  const dots = evaluation.points.map(
    ([step, value]) => `<circle class="dot" cx="${x(step)}" cy="${y(value)}" r="3.5"/>`,
  )
  const legend = [
    ...(loss.points.length > 0 ? [{ name: 'loss', kind: 'course' }] : []),
    ...(evaluation.points.length > 0 ? [{ name: evaluation.name, kind: 'evaluation' }] : []),
  ].map(
    ({ name, kind }, i) =>
      `<path class="${kind}" d="M${box.left + i * 90} 42h18"/>` +
      `<text x="${box.left + i * 90 + 24}" y="46">${escape(name)}</text>`,
  )
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escape(title)}</title>`,
    style,
    `<text class="title" x="${box.left}" y="24">${escape(title)}</text>`,
    ...legend,
    ...grid,
    ...steps,
    `<text x="${(box.left + box.right) / 2}" y="${height - 8}" text-anchor="middle">step</text>`,
    ...(values.length === 0
      ? [`<text x="${width / 2}" y="${height / 2}" text-anchor="middle">no steps yet</text>`]
      : []),
    ...(faint.length > 1 ? [`<path class="faint" d="${path(faint)}"/>`] : []),
    ...(course.length > 1 ? [`<path class="course" d="${path(course)}"/>`] : []),
    ...(evaluation.points.length > 1 ? [`<path class="evaluation" d="${path(evaluation.points)}"/>`] : []),
    ...(loss.points.length === 1
      ? [`<circle class="point" cx="${x(first)}" cy="${y(loss.points[0]![1])}" r="3.5"/>`]
      : []),
    ...dots,
    '</svg>',
  ].join('\n')}\n`
}

// Greens and ambers of one lightness, that colour-blind readers can tell apart; the ground stays whatever it is.
const style = `<style>
text { font: 12px system-ui, Helvetica, Arial, 'DejaVu Sans', sans-serif; fill: #57606a }
.title { font-size: 15px; font-weight: 600; fill: #24292f }
path { fill: none; stroke-linejoin: round; stroke-linecap: round }
.grid { stroke: #8888; stroke-width: .5 }
.faint { stroke: #2a9d5c; stroke-width: 1; opacity: .3 }
.course { stroke: #2a9d5c; stroke-width: 2 }
.evaluation { stroke: #d9822b; stroke-width: 2 }
.dot { fill: #d9822b }
.point { fill: #2a9d5c }
@media (prefers-color-scheme: dark) { text { fill: #9da7b1 } .title { fill: #e6edf3 } }
</style>`

const round = (x: number): number => Math.round(x * 100) / 100

const escape = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] ?? c)
