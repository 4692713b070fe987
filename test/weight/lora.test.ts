import { expect, test } from 'vitest'
import {
  attach,
  context,
  freeze,
  key,
  leaves,
  lookup,
  lora,
  materialize,
  param,
  pipe,
  project,
  projectT,
  scaleOf,
  shapeOf,
} from '../../src/index.ts'
import type { Lora, Matrix } from '../../src/index.ts'
import { add, gather, matmul, mul, normal, tensor, transpose } from '../../src/ops/index.ts'
import { LoraKind } from '../../src/weight/index.ts'
import { data, distance, idsOf } from '../support.ts'

const ctx = context()
// Sixteenths: every product and sum here is exact in float32.
const grid = (label: string, shape: readonly [number, number]): Matrix<'trainable'> =>
  param(
    'matrix',
    label,
    tensor(
      Array.from({ length: shape[0] * shape[1] }, (_, i) => (((i * 7 + label.length) % 13) - 6) / 16),
      shape,
    ),
  )
const weight: Lora<Matrix> = {
  _tag: 'Lora',
  base: grid('w', [3, 5]),
  a: grid('w.a', [3, 2]),
  b: grid('w.bb', [2, 5]),
  alpha: 3,
  scaling: 'alpha',
  dropout: 0,
}
const dense = add(weight.base.value, mul(matmul(weight.a.value, weight.b.value), 3))

test('stands for W + s·A·B, in every operation', () => {
  const [x, y] = [normal(key(0), [2, 4, 3]), normal(key(1), [2, 4, 5])]
  expect(data(materialize(weight, ctx))).toEqual(data(dense))
  expect(data(materialize(weight, ctx))).not.toEqual(data(weight.base.value))
  expect(shapeOf(weight, ctx)).toEqual([3, 5])
  expect(distance(project(x, weight, ctx), matmul(x, dense))).toBeLessThan(1e-6)
  expect(distance(projectT(y, weight, ctx), matmul(y, transpose(dense, [1, 0])))).toBeLessThan(1e-6)
  const ids = idsOf([[2, 0, 2]])
  expect(lookup(ids, weight, ctx).shape).toEqual([1, 3, 5])
  expect(data(lookup(ids, weight, ctx))).toEqual(data(gather(dense, ids)))
})

test('the scale: alpha as it is, over the rank, over its root', () => {
  expect(scaleOf(weight)).toBe(3)
  expect(scaleOf({ ...weight, scaling: 'alpha/rank' })).toBe(1.5)
  expect(scaleOf({ ...weight, scaling: 'alpha/sqrt(rank)' })).toBeCloseTo(3 / Math.SQRT2, 12)
  const [half, scaled]: readonly Lora[] = [
    { ...weight, alpha: 1.5 },
    { ...weight, scaling: 'alpha/rank' },
  ]
  expect(data(materialize(scaled!, ctx))).toEqual(data(materialize(half!, ctx)))
})

test('stacked by another weight’s kind, both changes count', () => {
  const twice = { ...weight, base: { ...weight, alpha: 1 } }
  const both = add(weight.base.value, mul(matmul(weight.a.value, weight.b.value), 4))
  expect(distance(materialize(twice, ctx), both)).toBeLessThan(1e-6)
  expect(shapeOf(twice, ctx)).toEqual([3, 5])
})

test('lora puts on what it says: A from U(±1/√in), B zero, labels under the weight’s', () => {
  const base = { proj: grid('proj', [64, 5]) }
  const { proj } = pipe(
    base,
    freeze,
    lora({ at: 'proj', rank: 4, alpha: 2, scaling: 'alpha/rank', dropout: 0.25, key: key(5) }),
  )
  expect(proj).toMatchObject({ _tag: 'Lora', alpha: 2, scaling: 'alpha/rank', dropout: 0.25 })
  expect(leaves(proj).map((l) => [l.label, 'status' in l && l.status, l.value.shape])).toEqual([
    ['proj', 'frozen', [64, 5]],
    ['proj.a', 'trainable', [64, 4]],
    ['proj.b', 'trainable', [4, 5]],
  ])
  expect(new Set(data(proj.b.value))).toEqual(new Set([0]))
  const most = Math.max(...data(proj.a.value).map(Math.abs))
  expect(most).toBeLessThanOrEqual(1 / 8)
  expect(most).toBeGreaterThan(0.9 / 8)
})

test('LoRA’s kind, attached as any variant is', () => {
  const { proj } = attach(LoraKind as never)({ at: 'proj', rank: 2 } as never)({
    proj: grid('proj', [3, 5]),
  }) as {
    proj: Lora<Matrix>
  }
  expect(proj).toMatchObject({ _tag: 'Lora', alpha: 1, scaling: 'alpha', dropout: 0 })
  expect(data(materialize(proj, ctx))).toEqual(data(proj.base.value))
})
