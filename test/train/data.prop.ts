import { fc, test } from '@fast-check/vitest'
import { expect } from 'vitest'
import { key } from '../../src/tree/index.ts'
import { scope, toArray } from '../../src/ops/index.ts'
import { batches, collateTokens, padTo } from '../../src/train/index.ts'

const data = fc.array(fc.integer(), { maxLength: 20 })
const size = fc.integer({ min: 1, max: 7 })
const ids = fc.array(fc.integer({ min: 0, max: 99 }), { minLength: 1, maxLength: 6 })

test.prop([data, size, fc.option(fc.nat(9), { nil: undefined })])(
  'batches hold every example once, all but the last of full size',
  (all, n, seed) => {
    const parts = batches(all, { size: n, ...(seed === undefined ? {} : { key: key(seed) }) })
    const order = parts.flat()
    expect(seed === undefined ? order : order.toSorted((a, b) => a - b)).toEqual(
      seed === undefined ? all : all.toSorted((a, b) => a - b),
    )
    for (const part of parts.slice(0, -1)) expect(part.length).toBe(n)
    expect(batches(all, { size: n, dropLast: true }).flat().length).toBe(all.length - (all.length % n))
  },
)

test('the order depends on the key, and on nothing else', () => {
  const all = Array.from({ length: 50 }, (_, i) => i)
  const order = (seed: number) => batches(all, { size: 50, key: key(seed) })[0]
  expect(order(0)).toEqual(order(0))
  expect(order(0)).not.toEqual(order(1))
  expect(order(0)).not.toEqual(all)
})

test.prop([
  fc.array(ids, { minLength: 1, maxLength: 5 }),
  fc.constantFrom('first', 'last'),
  fc.integer({ min: 1, max: 8 }),
])('padding keeps what fits, at the left, and fills the rest', (rows, keep, length) => {
  const padded = padTo(rows, { length, keep, pad: -1 })
  rows.forEach((row, i) => {
    const kept = keep === 'first' ? row.slice(0, length) : row.slice(-length)
    expect(padded[i]!.slice(0, kept.length)).toEqual(kept)
    expect(padded[i]!.slice(kept.length)).toEqual(Array<number>(length - kept.length).fill(-1))
  })
})

test.prop([
  fc.array(ids, { minLength: 1, maxLength: 5 }),
  fc.integer({ min: 1, max: 5 }),
  fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
])(
  'lengths are rounded up, never beyond the limit for the sake of rounding, and nothing is lost',
  (rows, by, limit) => {
    const [length] = new Set(
      padTo(rows, { multipleOf: by, ...(limit === undefined ? {} : { limit }) }).map((r) => r.length),
    )
    const least = Math.max(...rows.map((row) => row.length))
    expect(length).toBeGreaterThanOrEqual(least)
    expect(length).toBeLessThan(least + by)
    if (length! % by !== 0) expect(length).toBe(Math.max(least, limit ?? 0))
  },
)

test.prop([fc.array(ids, { minLength: 1, maxLength: 5 })])('mask and labels say where the filling is', (rows) =>
  scope(() => {
    const batch = collateTokens(
      rows.map((row) => ({ ids: row })),
      { pad: 7 },
    )
    const [tokens, mask, labels] = [batch.ids, batch.mask, batch.labels].map((t) => toArray(t) as number[][])
    rows.forEach((row, i) => {
      expect(tokens![i]!.filter((_, j) => mask![i]![j] === 1)).toEqual(row)
      expect(labels![i]!.filter((l) => l !== -100)).toEqual(row)
      expect(labels![i]!.filter((l) => l === -100).length).toBe(mask![i]!.filter((m) => m === 0).length)
    })
  }),
)

test.each([
  [() => batches([1], { size: 0 }), 'batches.size'],
  [() => batches([1], { size: 1.5 }), 'batches.size'],
  [() => padTo([[1, 2]], { length: 1 }), 'SequenceTooLong at 0'],
  [() => padTo([[1, 2]], { multipleOf: 0 }), 'padTo.multipleOf'],
  [() => collateTokens([{ ids: [1] }, { ids: [] }]), 'EmptySequence at 1'],
  [() => collateTokens([{ ids: [1], labels: [1, 2] }]), 'LabelsMismatch at 0'],
  [() => collateTokens([{ ids: [0.5] }]), 'InvalidElement'],
])('%s is refused', (f, message) => {
  expect(f).toThrow(message)
})
