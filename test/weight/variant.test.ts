import { expect, test } from 'vitest'
import {
  allOnes,
  attach,
  context,
  count,
  fixed,
  freeze,
  key,
  lookup,
  lora,
  materialize,
  matrix,
  merge,
  param,
  pipe,
  project,
  projectT,
  shapeOf,
  table,
  variant,
  vector,
} from '../../src/index.ts'
import type { Matrix } from '../../src/index.ts'
import { add, gather, matmul, mul, normal, ones, tensor, transpose } from '../../src/ops/index.ts'
import { brief, data, distance, idsOf, refused, tinySllm } from '../support.ts'

const Scaled = variant('Scaled', {
  fields: { scale: vector('out', allOnes), power: fixed(1) },
  materialize: (w, ctx) => mul(materialize(w.base, ctx), w.scale.value),
})
const own = { Scaled }
const ctx = context({}, own)
const scaled = attach(Scaled)
const base = { proj: param('matrix', 'proj', normal(key(0), [3, 4])) }

test('from the dense weight alone, every operation follows', () => {
  const node = { ...scaled({ at: 'proj' })(base).proj, scale: param('vector', 's', tensor([1, 2, 3, 4])) }
  const dense = mul(base.proj.value, tensor([1, 2, 3, 4]))
  const [x, y] = [normal(key(1), [2, 3]), normal(key(2), [2, 4])]
  expect(data(materialize(node, ctx))).toEqual(data(dense))
  expect(distance(project(x, node, ctx), matmul(x, dense))).toBeLessThan(1e-6)
  expect(distance(projectT(y, node, ctx), matmul(y, transpose(dense, [1, 0])))).toBeLessThan(1e-6)
  expect(data(lookup(idsOf([[1]]), node, ctx))).toEqual(data(gather(dense, idsOf([[1]]))))
  expect(shapeOf(node, ctx)).toEqual([3, 4])
})

test('an operation that is said better is the one that is used', () => {
  const Silent = variant('Silent', {
    fields: {},
    materialize: (w, c) => materialize(w.base, c),
    project: () => ones([7]),
    projectT: () => ones([8]),
    lookup: () => ones([9]),
  })
  const node = attach(Silent)({ at: 'proj' })(base).proj
  const c = context({}, { Silent })
  const x = ones([1, 3])
  expect([project(x, node, c), projectT(x, node, c), lookup(x, node, c)].map((t) => t.shape)).toEqual([[7], [8], [9]])
})

test('its dimensions are options, its fields parameters and plain data under the weight’s label', () => {
  const Factored = variant('Factored', {
    fields: { left: matrix('in', 'width'), right: matrix('width', 'out'), rows: table('slots', 'width') },
    materialize: (w, c) => add(materialize(w.base, c), matmul(w.left.value, w.right.value)),
  })
  const { proj } = attach(Factored)({ at: 'proj', width: 2, slots: 5 })(base)
  expect([proj.left, proj.right, proj.rows].map((p) => [p.label, p.value.shape])).toEqual([
    ['proj.left', [3, 2]],
    ['proj.right', [2, 4]],
    ['proj.rows', [5, 2]],
  ])
  expect(scaled({ at: 'proj' })(base).proj.power).toBe(1)
  expect(brief(refused(base, attach(Factored)({ at: 'proj', width: 0, slots: -1 }) as never))).toEqual([
    'BadDimension proj',
    'BadDimension proj',
  ])
  expect(brief(refused(base, attach(Factored)({ at: 'proj', width: 2 } as never) as never))).toEqual([
    'BadDimension slots',
  ])
})

test('merge of a variant of one’s own: with its kind it works, without it says which kind is missing', () => {
  const model = pipe(tinySllm(), freeze, scaled({ at: '**.ln_1' }))
  expect(count(model).trainable).toBe(12)
  expect(brief(refused(model, merge as never))).toEqual(['UnknownKind transformer_blocks.0.mlp.ln_1.weight'])
  const merged = merge.knowing(own)(model)
  expect(count(merged)).toEqual(count(freeze(tinySllm())))
  const weight: Matrix<'frozen'> = merged.transformer_blocks[0]!.mlp.ln_1.weight
  expect(data(weight.value)).toEqual(data(tinySllm().transformer_blocks[0]!.mlp.ln_1.weight.value))
})

test('what is adapted by one variant is closed to another', () => {
  const model = scaled({ at: 'proj' })(base)
  expect(brief(refused(model, lora({ at: '**', rank: 1 }) as never))).toEqual(['AlreadyAdapted proj'])
  expect(brief(refused(model, scaled({ at: 'proj' }) as never))).toEqual(['AlreadyAdapted proj'])
})
