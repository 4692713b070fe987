import { describe, expect, test } from 'vitest'
import { applyRecipe, attempt, boft, count, decodeRecipe, freeze, hra, key, oft, pipe, sllm } from '../../src/index.ts'
import { memory } from '../../src/ops/index.ts'

const base = sllm.init({ ...sllm.config.seed, vocab_size: 20, d_model: 12, d_head: 5, n_heads: 2 }, key(0))
const issuesOf = (f: () => unknown) => {
  const before = memory().tensors
  const result = attempt(f)
  if (result._tag === 'Left') expect(memory().tensors).toBe(before)
  return result._tag === 'Left' ? result.left : 'taken'
}

describe('sizes that do not fit are refused before anything is allocated', () => {
  const path = 'out_head.weight'

  test('oft', () => {
    const at = 'out_head'
    expect(issuesOf(() => oft({ at })(base))).toEqual([
      {
        _tag: 'BadDimension',
        path,
        expected: 'a blockSize from 2 that divides the 12 inputs',
        found: '32',
        hint: 'Those that do: 2, 3, 4, 6, 12. blockSizePattern gives one weight a size of its own.',
      },
    ])
    for (const blockSize of [1, 5, 0, -2, 1.5, Number.NaN, '4' as never])
      expect(
        issuesOf(() => oft({ at, blockSize })(base)),
        String(blockSize),
      ).toMatchObject([{ _tag: 'BadDimension', path }])
  })

  test('oft: every weight that does not fit is named, and may have a size of its own', () => {
    const options = { at: 'transformer_blocks.0', blockSize: 4 } as const
    const out = 'transformer_blocks.0.mha.projection_out.weight'
    expect(issuesOf(() => oft(options)(base))).toMatchObject([{ _tag: 'BadDimension', path: out }])
    expect(issuesOf(() => oft({ ...options, blockSizePattern: { '**.projection_out': 5 } })(base))).toBe('taken')
  })

  test('boft', () => {
    const found = (options: { readonly blockSize?: number; readonly factors?: number }) =>
      issuesOf(() => boft({ at: 'out_head', ...options })(base))
    expect(found({ blockSize: 5 })).toMatchObject([{ expected: 'a blockSize from 2 that divides the 12 inputs' }])
    expect(found({ blockSize: 3, factors: 2 })).toMatchObject([
      { path, expected: 'an even blockSize where there are more factors than one', found: '3' },
    ])
    expect(found({ blockSize: 2, factors: 3 })).toEqual([
      {
        _tag: 'BadDimension',
        path,
        expected: 'blockSize · 2^(factors − 1) to divide the 12 inputs',
        found: '2 · 2^2',
        hint: 'With blocks of 2, take at most 2 factors.',
      },
    ])
    expect(found({ factors: 2 })).toMatchObject([{ hint: 'With blocks of 4, take one factor.' }])
    for (const factors of [0, 1.5, 1e9]) expect(found({ factors })).toMatchObject([{ _tag: 'BadDimension', path }])
  })

  test('hra', () => {
    const found = (options: { readonly rank: number; readonly orthogonalise?: boolean }) =>
      issuesOf(() => hra({ at: 'out_head', ...options })(base))
    expect(found({ rank: 3 })).toMatchObject([{ _tag: 'BadDimension', path, expected: 'an even rank', found: '3' }])
    expect(found({ rank: 3, orthogonalise: true })).toBe('taken')
    expect(found({ rank: 13, orthogonalise: true })).toMatchObject([
      { expected: 'a rank up to the 12 inputs', found: '13' },
    ])
    expect(found({ rank: 14 })).toBe('taken')
    expect(found({ rank: 2, orthogonalise: 1 as never })).toMatchObject([{ _tag: 'BadOption' }])
  })
})

// PEFT's counting rule, on d = 128, 10 of its matrices being [128, 128], and the head [128, 100].
test('recipes count what the formulas say', () => {
  const model = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
  const trained = (step: Readonly<Record<string, Readonly<Record<string, unknown>>>>) =>
    count(applyRecipe([{ freeze: {} }, step])(model) as never).trainable
  const at = 'transformer_blocks.0.mlp'
  expect(trained({ oft: { at } })).toBe(2 * (128 / 32) * ((32 * 31) / 2))
  expect(trained({ oft: { at: 'out_head', blockSize: 64 } })).toBe((128 / 64) * ((64 * 63) / 2))
  expect(trained({ boft: { at } })).toBe(2 * (128 * 4 + 128))
  expect(trained({ boft: { at: 'out_head', blockSize: 8, factors: 3 } })).toBe(3 * 128 * 8 + 100)
  expect(trained({ hra: { at } })).toBe(2 * 8 * 128)
  expect(trained({ hra: { at: 'out_head', rank: 5, orthogonalise: true } })).toBe(5 * 128)
})

test('recipes know their options', () => {
  const bad = decodeRecipe([
    { oft: { at: '**', blocksize: 4 } },
    { boft: {} },
    { hra: { at: '**', orthogonalise: 'yes' } },
  ])
  expect(bad).toMatchObject({
    left: [{ path: '[0].oft.blocksize' }, { path: '[1].boft.at' }, { path: '[2].hra.orthogonalise' }],
  })
})

test('a model is run, tuned by each in turn', () => {
  const tuned = pipe(
    base,
    freeze,
    oft({ at: '**.mlp', blockSize: 4 }),
    boft({ at: 'out_head' }),
    hra({ at: '**.mha', rank: 2 }),
  )
  expect(count(tuned).trainable).toBeGreaterThan(0)
  expect(attempt(() => hra({ at: 'out_head', rank: 2 })(tuned as never))).toMatchObject({
    left: [{ _tag: 'AlreadyAdapted' }],
  })
})
