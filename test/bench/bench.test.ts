import { describe, expect, test } from 'vitest'
import { flopsOf, productsOf, sizes } from '../../bench/cases.ts'
import type { Case, Task } from '../../bench/cases.ts'
import { agreement } from '../../bench/compare.ts'
import { pictureSvg } from '../../bench/picture.ts'
import { tableMarkdown, tableText } from '../../bench/results.ts'

const work = (task: Task): number => {
  const bench: Case = {
    task,
    model: 'gpt2',
    batch: 4,
    length: 128,
    folder: '',
    rank: 8,
    newTokens: 0,
    sizes: sizes.gpt2,
  }
  return productsOf(bench).reduce((sum, product) => sum + flopsOf(product), 0)
}

describe('the work of a step', () => {
  const blocks = 12 * (768 * 2304 + 768 * 768 + 2 * 768 * 3072)
  const head = 768 * 50_257

  test('forward: two operations for each weight and token', () => {
    expect(work('forward')).toBe(2 * 512 * (blocks + head))
  })

  test('LoRA: once more towards the inputs, not below the first adapter', () => {
    expect(work('lora')).toBe(2 * 512 * (2 * blocks - 768 * 2304) + 2 * 508 * 2 * head)
  })

  test('full: three times, except below the first weights', () => {
    expect(work('full')).toBe(2 * 512 * (3 * blocks - 768 * 2304) + 2 * 508 * 3 * head)
  })
})

describe('contestants agree', () => {
  const told = (task: Task, ...values: readonly number[]) =>
    agreement(
      task,
      values.map((value) => ({ name: String(value), about: {}, ms: [], values: [value], parts: {} })),
    )

  test('on losses to a thousandth, on tokens wholly, on NaN never', () => {
    expect(told('lora', 3.5, 3.503)).toBe('All computed the same in the first 1 steps: 3.5000.')
    expect(told('lora', 3.5, 3.504)).toBe('NOT THE SAME: 3.5 3.5000; 3.504 3.5040.')
    expect(told('generation', 49_656, 49_656)).toContain('All computed the same')
    expect(told('generation', 49_656, 49_657)).toContain('NOT THE SAME')
    expect(told('lora', NaN, NaN)).toContain('NOT THE SAME')
  })
})

describe('what is printed', () => {
  const table = {
    title: 'T',
    columns: ['', 'ms', 'x'],
    rows: [['ours', 12.345, null]],
    notes: ['Said below.'],
  } as const

  test('a table in a terminal, and in Markdown', () => {
    expect(tableText(table)).toBe('\nT\n        ms  x\nours  12.3  –\nSaid below.')
    expect(tableMarkdown(table)).toBe(
      '**T**\n\n|  | ms | x |\n| --- | ---: | ---: |\n| ours | 12.3 | – |\n\nSaid below.',
    )
  })

  test('a power is a straight line in the picture', () => {
    const points = [1, 2, 4, 8].map((x) => [x, 3 * x ** 2] as const)
    const svg = pictureSvg([{ title: 'T', x: 'depth', series: [{ name: 'wasm', points }] }])
    const course = /stroke="[^"]*" d="([^"]*)"/.exec(svg)?.[1] ?? ''
    const at = course
      .split(/[ML]/)
      .slice(1)
      .map((pair) => pair.split(' ').map(Number))
    const slopes = at.slice(1).map(([x = 0, y = 0], i) => (y - at[i]![1]!) / (x - at[i]![0]!))
    expect(slopes).toHaveLength(3)
    for (const slope of slopes) expect(slope).toBeCloseTo(slopes[0]!, 1)
  })
})
