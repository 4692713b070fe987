import { expect, test } from 'vitest'
import {
  define,
  freeze,
  kinds,
  layer,
  linear,
  list,
  lora,
  norm,
  param,
  pipe,
  prompt,
  set,
  shapeIssues,
  sllm,
  key,
} from '../../src/index.ts'
import { zeros } from '../../src/ops/index.ts'
import { brief, tiny, tinySllm } from '../support.ts'

const base = tinySllm()
const all = { ...kinds, ...sllm.kinds }
const check = (model: unknown) => shapeIssues(model, sllm.kind, all)
const swapped = (path: string, shape: readonly number[], model: unknown = base) =>
  set(model, path as never, param('matrix', path, zeros(shape)))

test('a sound model has no issues: bare, frozen, with biases, adapted, prompted', () => {
  const tuned = pipe(base, freeze, lora({ at: '**', rank: 2 }), prompt({ length: 3 }))
  for (const model of [base, freeze(base), sllm.init({ ...tiny, bias: true }, key(0)), tuned])
    expect(check(model)).toEqual([])
})

test('a misshapen weight: path, axis and both lengths', () => {
  expect(check(swapped('transformer_blocks.0.mlp.ln_1.weight', [6, 7]))).toEqual([
    {
      _tag: 'ShapeMismatch',
      path: 'transformer_blocks.0.mlp.ln_1.weight',
      expected: 'out = 6 at axis 1',
      found: '7',
      hint: 'The shapes of one model must agree.',
    },
  ])
  expect(check(swapped('out_head.weight', [5, 11]))[0]).toMatchObject({
    path: 'out_head.weight',
    expected: 'in = 6 at axis 0',
    found: '5',
  })
  expect(check(swapped('final_norm.scale', [7]))[0]).toMatchObject({
    path: 'final_norm.scale',
    expected: 'd = 6 at axis 0',
  })
  expect(check(swapped('out_head.bias', [12]))[0]).toMatchObject({
    path: 'out_head.bias',
    expected: 'out = 11 at axis 0',
  })
})

test('the widths inside attention agree, although heads and d_head are known only as their product', () => {
  for (const name of ['Wk', 'Wv'])
    expect(check(swapped(`transformer_blocks.1.mha.${name}.weight`, [6, 8]))[0]).toMatchObject({
      path: `transformer_blocks.1.mha.${name}.weight`,
      expected: 'out = 12 at axis 1',
      found: '8',
    })
  expect(check(swapped('transformer_blocks.1.mha.projection_out.weight', [8, 6]))[0]).toMatchObject({
    expected: 'in = 12 at axis 0',
    found: '8',
  })
})

test('a wrong number of axes', () => {
  expect(check(swapped('out_head.weight', [6, 11, 1]))[0]).toMatchObject({
    expected: 'axes [in, out]',
    found: 'shape [6, 11, 1]',
  })
})

test('a misshapen adapter or prompt', () => {
  const tuned = pipe(base, lora({ at: '**.ln_1', rank: 2 }), prompt({ length: 3 }))
  const at = 'transformer_blocks.0.mlp.ln_1.weight'
  expect(check(swapped(`${at}.a`, [5, 2], tuned))).toMatchObject([
    { path: `${at}.a`, expected: 'in = 6 at axis 0', found: '5' },
  ])
  expect(check(swapped(`${at}.b`, [3, 6], tuned))).toMatchObject([
    { path: `${at}.b`, expected: 'rank = 2 at axis 0', found: '3' },
  ])
  expect(check(swapped('embedding_block.token_embdgs.prompt', [3, 7], tuned))).toMatchObject([
    { path: 'embedding_block.token_embdgs.prompt', expected: 'd = 6 at axis 1', found: '7' },
  ])
})

test('missing, surplus and wrong fields', () => {
  const { out_head, ...headless } = base
  expect(brief(check(headless))).toEqual(['ShapeMismatch out_head'])
  expect(check({ ...base, toString: 5 })[0]).toMatchObject({ path: 'toString', expected: 'no such field in Sllm' })
  expect(check({ ...base, final_norm: out_head })[0]).toMatchObject({
    path: 'final_norm',
    expected: 'a LayerNorm',
    found: 'Linear',
  })
  expect(check({ ...base, final_norm: { ...base.final_norm, eps: '1e-5' } })[0]).toMatchObject({
    path: 'final_norm.eps',
    expected: 'a number',
  })
  expect(check({ ...base, transformer_blocks: {} })[0]).toMatchObject({
    path: 'transformer_blocks',
    expected: 'a list',
  })
  expect(check({ ...base, out_head: { ...out_head, weight: 5 } })[0]).toMatchObject({
    path: 'out_head.weight',
    expected: 'a matrix',
    found: '5',
  })
  for (const nothing of [null, undefined, 5, []]) expect(check(nothing)).toHaveLength(1)
})

test('every mistake of a model is named at once', () => {
  const broken = swapped('final_norm.scale', [7], swapped('out_head.bias', [12]))
  expect(brief(check(broken))).toEqual(['ShapeMismatch final_norm.scale', 'ShapeMismatch out_head.bias'])
})

test('a field without a bias wants none', () => {
  const Head = define('Head', { out: linear('d', 'n', { bias: false }) }, (n, x, ctx) => layer(n.out, x, ctx))
  const head = Head.init({ d: 2, n: 3 }, key(0))
  const biased = { ...head, out: { ...head.out, bias: param('vector', 'b', zeros([3])) } }
  expect(shapeIssues(biased, Head, all)[0]).toMatchObject({ path: 'out.bias', expected: 'null', found: 'Param' })
})

test('the elements of a list agree, and products with a number divide', () => {
  const Stack = define(
    'Stack',
    { layers: list(linear('d', 'd'), 'depth'), wide: linear('2*d', 'd'), norm: norm('d') },
    (_, x) => x,
  )
  const stack = Stack.init({ d: 3, depth: 2 }, key(0))
  expect(shapeIssues(stack, Stack, all)).toEqual([])
  expect(shapeIssues(swapped('layers.1.weight', [3, 4], stack), Stack, all)[0]).toMatchObject({
    path: 'layers.1.weight',
    expected: 'out = 3 at axis 1',
    found: '4',
  })
  expect(shapeIssues(swapped('wide.weight', [5, 3], stack), Stack, all)[0]).toMatchObject({
    path: 'wide.weight',
    found: '5',
  })
  const Odd = define('Odd', { w: linear('2*d', 'n') }, (_, x) => x)
  const odd = set(Odd.init({ d: 2, n: 1 }, key(0)), 'w.weight', param('matrix', 'w', zeros([5, 1])))
  expect(shapeIssues(odd, Odd, all)[0]).toMatchObject({ path: 'w', expected: '2*d, a multiple of 2,', found: '5' })
})
