import { describe, expect, test } from 'vitest'
import { curveSvg, curveText, progressBar } from '../../src/train/index.ts'
import type { History } from '../../src/train/index.ts'

const steps = (losses: readonly number[]): History =>
  losses.map((loss, i) => ({ kind: 'step', step: i + 1, epoch: 1, loss }))
const falling = steps(Array.from({ length: 200 }, (_, i) => 0.1 + 2 * Math.exp(-i / 40)))

describe('the progress bar', () => {
  const play = (isTTY: boolean, columns = 200) => {
    const written: string[] = []
    let time = 0
    const stream = { write: (text: string) => void written.push(text), isTTY, columns }
    const bar = progressBar(stream, { from: 10, total: 20, perEpoch: 10, unit: 'tokens', now: () => time })
    for (let step = 11; step <= 20; step += 1) {
      time += 1000
      bar.step({ kind: 'step', step, epoch: 2, loss: 1 / step }, 500)
      if (step === 15)
        bar.evaluation({ kind: 'evaluation', step, epoch: 2, metrics: { loss: 0.123456, accuracy: 0.9 } })
    }
    bar.end()
    return written
  }

  test('rewrites one line on a terminal: epoch, step, loss, tokens/s, time left', () => {
    const written = play(true)
    expect(written[0]!.startsWith('\r\u001b[Kepoch 2/2  step 11/20  ')).toBe(true)
    expect(written[0]).toMatch(/ {2}loss 0\.0909 {2}500 tokens\/s {2}0:09 left$/)
    expect(written.at(-1)).toBe('\n')
    expect(written.filter((text) => text.includes('\n')).length).toBe(2)
    expect(written.join('')).toContain('evaluation: loss 0.1235  accuracy 0.9\n')
  })

  test('never writes beyond the width of the terminal', () => {
    for (const text of play(true, 30)) expect(text.replace('\r\u001b[K', '').length).toBeLessThan(30)
  })

  test('writes few whole lines elsewhere', () => {
    const written = play(false)
    expect(written.every((text) => text.endsWith('\n') && !text.includes('\u001b'))).toBe(true)
    expect(written.map((text) => /step (\d+)/.exec(text)![1])).toEqual(['11', '15', '16', '20'])
  })
})

describe('the loss curve as SVG', () => {
  const numbersOf = (svg: string, shape: string): number[][] =>
    [...new RegExp(`class="${shape}" d="([^"]*)"`).exec(svg)![1]!.matchAll(/[ML](\S+) ([\d.]+)/g)].map((m) =>
      m.slice(1).map(Number),
    )

  test('falls from the upper left to the lower right, inside the picture', () => {
    const points = numbersOf(curveSvg(falling, { width: 400, height: 200 }), 'faint')
    expect(points[0]![0]).toBeLessThan(points.at(-1)![0]!)
    expect(points[0]![1]).toBeLessThan(points.at(-1)![1]!)
    for (const [x, y] of points) {
      expect(x).toBeGreaterThanOrEqual(0)
      expect(x).toBeLessThanOrEqual(400)
      expect(y).toBeGreaterThanOrEqual(0)
      expect(y).toBeLessThanOrEqual(200)
    }
  })

  test('has a title, numbers at both axes, and a dot for each evaluation', () => {
    const history: History = [...falling, { kind: 'evaluation', step: 200, epoch: 1, metrics: { loss: 0.4 } }]
    const svg = curveSvg(history, { title: 'a & b' })
    expect(svg).toContain('a &amp; b')
    for (const text of ['>0<', '>0.5<', '>2<', '>100<', '>200<', '>evaluation loss<', '>step<'])
      expect(svg).toContain(text)
    expect(svg.match(/class="dot"/g)!.length).toBe(1)
    expect(svg).not.toMatch(/NaN|Infinity|undefined/)
  })

  test.each([
    ['no step', steps([])],
    ['one step', steps([0.5])],
    ['equal losses', steps([2, 2, 2])],
    ['zeros', steps([0, 0])],
    ['negative losses', steps([-5, -7])],
    ['very small losses', steps([1e-9, 2e-9])],
    ['very large losses', steps([1e30, 1e31])],
    [
      'an evaluation of NaN',
      [...falling, { kind: 'evaluation', step: 2, epoch: 1, metrics: { loss: Number.NaN } }] as const,
    ],
  ])('is a sound picture of %s', (_, history) => {
    const svg = curveSvg(history)
    expect(svg).toMatch(/^<svg [\s\S]*<\/svg>\n$/)
    expect(svg).not.toMatch(/NaN|Infinity|undefined/)
    expect(curveText(history)).not.toMatch(/NaN|Infinity|undefined/)
  })

  test('stays small however many steps there are', () => {
    const many = steps(Array.from({ length: 100_000 }, (_, i) => Math.sin(i)))
    expect(curveSvg(many).length).toBeLessThan(60_000)
  })
})

describe('the loss curve in the terminal', () => {
  test('has the lines and columns asked for, the bounds at the axis, and falls', () => {
    const text = curveText(falling, { width: 40, height: 8 })
    const lines = text.split('\n')
    expect(lines.length).toBe(8)
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(40)
    expect(lines[0]).toMatch(/^ *2\.\d+ ┤/)
    expect(lines[6]).toMatch(/^ *0\.1\d+ ┤/)
    expect(lines[7]).toMatch(/^ +step 1 +200$/)
    const middle = (line: string): number => Array.from(line).findIndex((c) => c > '\u2800' && c < '\u2900')
    expect(middle(lines[0]!)).toBeLessThan(middle(lines[3]!))
    expect(middle(lines[3]!)).toBeLessThan(middle(lines[6]!))
  })
})
