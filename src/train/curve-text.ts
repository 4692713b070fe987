import { curvesOf, label, smoothed } from './curve.ts'
import type { Point } from './curve.ts'
import type { History } from './history.ts'

/** How a loss curve is written. */
export interface CurveTextOptions {
  /** Characters across, axis included; 72 by default. */
  readonly width?: number
  /** Lines, axis included; 12 by default. */
  readonly height?: number
}

/**
 * A loss curve for the terminal, in braille dots: two to a character across, four down.
 *
 * @example
 * ```ts
 * import { curveText } from 'espalier'
 *
 * const text = curveText([1, 2, 3].map((step) => ({ kind: 'step', step, epoch: 1, loss: 4 - step })), { width: 20, height: 5 })
 * text.split('\n').length // => 5
 * ```
 */
export const curveText = (history: History, { width = 72, height = 12 }: CurveTextOptions = {}): string => {
  const points = smoothed(curvesOf(history, '')[0].points)
  if (points.length === 0) return 'no steps yet'
  const low = points.reduce((least, [, value]) => Math.min(least, value), Infinity)
  const high = points.reduce((most, [, value]) => Math.max(most, value), -Infinity)
  const [above, below] = [number(high), number(low)]
  const margin = Math.max(above.length, below.length)
  const [columns, rows] = [Math.max(1, width - margin - 2), Math.max(1, height - 1)]
  const lines = plot(points, low, high, columns, rows).map((line, row) => {
    const mark = row === 0 ? above : row === rows - 1 && low < high ? below : ''
    return `${mark.padStart(margin)} ${mark === '' ? '│' : '┤'}${line.trimEnd()}`
  })
  const [from, to] = [`step ${label(points[0]![0])}`, label(points.at(-1)![0])]
  return [...lines, `${' '.repeat(margin + 2)}${from}${to.padStart(Math.max(1, columns - from.length))}`].join('\n')
}

const number = (x: number): string => String(Number(x.toPrecision(4)))

// The bits of the dots of a braille character, column by column.
const bits = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const

const plot = (
  points: readonly Point[],
  low: number,
  high: number,
  columns: number,
  rows: number,
): readonly string[] => {
  const cells = new Uint8Array(columns * rows)
  const [wide, tall] = [2 * columns, 4 * rows]
  const steps = points.length - 1
  // Between two dots of the curve every row is set, so that a steep fall is one line.
  let before: number | undefined
  for (let x = 0; x < wide; x += 1) {
    const at = (x / (wide - 1)) * steps
    const [left, right] = [points[Math.floor(at)]![1], points[Math.ceil(at)]![1]]
    const value = left + (right - left) * (at % 1)
    const y = high === low ? tall >> 1 : Math.round(((high - value) / (high - low)) * (tall - 1))
    const [from, to] = [Math.min(before ?? y, y), Math.max(before ?? y, y)]
    for (let dot = from; dot <= to; dot += 1) cells[(dot >> 2) * columns + (x >> 1)]! |= bits[x % 2]![dot % 4]!
    before = y
  }
  return Array.from({ length: rows }, (_, row) =>
    Array.from(cells.subarray(row * columns, (row + 1) * columns), (cell) =>
      cell === 0 ? ' ' : String.fromCharCode(0x2800 + cell),
    ).join(''),
  )
}
