import { describe, expect, test } from 'vitest'
import {
  adalora,
  applyRecipe,
  columnNorms,
  context,
  count,
  detach,
  dora,
  freeze,
  get,
  key,
  layer,
  leaves,
  lookup,
  lora,
  materialize,
  merge,
  param,
  pipe,
  project,
  sllm,
  toLora,
  trainableOf,
  valueAndGrad,
  withValues,
} from '../../src/index.ts'
import type { Lora, LoraFrom, Matrix, Table } from '../../src/index.ts'
import {
  abs,
  item,
  matmul,
  max,
  mean,
  mul,
  normal,
  read,
  record,
  square,
  sub,
  sum,
  tensor,
  zeros,
} from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'
import { brief, data, distance, idsOf, issuesOf, messageOf, numbers, refused, tinySllm } from '../support.ts'

const base = tinySllm()
const one = { w: param('matrix', 'w', normal(key(1), [40, 24])) }
const ids = idsOf([[1, 2, 3]])
const spread = (t: Tensor): number => Math.sqrt(item(mean(square(t))))
const largest = (t: Tensor): number => item(max(abs(t)))

describe('what a fresh LoRA begins as', () => {
  const node = (init: 'kaiming' | 'gaussian' | 'random' | 'orthogonal', rank = 8): Lora<Matrix> =>
    lora({ at: 'w', rank, init, key: key(2) })(one).w

  test('kaiming is the default: A evenly within 1/√in, B zero', () => {
    expect(data(node('kaiming').a.value)).toEqual(data(lora({ at: 'w', rank: 8, key: key(2) })(one).w.a.value))
    expect(largest(node('kaiming').a.value)).toBeLessThanOrEqual(1 / Math.sqrt(40))
    expect(spread(node('kaiming').a.value)).toBeCloseTo(1 / Math.sqrt(3 * 40), 2)
    expect(largest(node('kaiming').b.value)).toBe(0)
  })

  test('gaussian: A of standard deviation 1/rank, B zero', () => {
    expect(spread(node('gaussian').a.value)).toBeCloseTo(1 / 8, 2)
    expect(spread(node('gaussian', 32).a.value)).toBeCloseTo(1 / 32, 3)
    expect(largest(node('gaussian').b.value)).toBe(0)
  })

  test('random: B evenly within 1/√rank', () => {
    expect(largest(node('random').b.value)).toBeLessThanOrEqual(1 / Math.sqrt(8))
    expect(spread(node('random', 32).b.value)).toBeCloseTo(1 / Math.sqrt(3 * 32), 2)
  })

  test('orthogonal: both drawn, their product zero up to rounding, an odd rank refused', () => {
    const { a, b } = node('orthogonal')
    expect(spread(a.value)).toBeCloseTo(0.1 * Math.sqrt(0.5), 2)
    expect(spread(b.value)).toBeCloseTo(0.1 * Math.sqrt(0.5), 2)
    expect(largest(matmul(a.value, b.value))).toBeLessThan(1e-7)
    expect(messageOf(() => node('orthogonal', 3))).toMatchInlineSnapshot(`
      "BadDimension at w: expected an even rank, for init 'orthogonal', found 3.
        Take 4."
    `)
  })

  test('a rank by pattern counts for the init of its weight', () => {
    const tuned = lora({ at: '**', rank: 4, init: 'gaussian', rankPattern: { out_head: 64 } })(base)
    expect(spread(get(tuned, 'out_head.weight').a.value)).toBeCloseTo(1 / 64, 2)
  })

  test('an unknown init is named with those there are', () => {
    expect(brief(refused(base, lora({ at: '**', rank: 2, init: 'zeros' as 'kaiming' }) as never))).toEqual([
      'BadOption lora.init',
    ])
  })
})

describe('LoRA from a part of the weight', () => {
  const w = one.w.value
  const started = (init: 'pissa' | 'olora', rank = 4): LoraFrom<Matrix> =>
    lora({ at: 'w', rank, init, alpha: 2 })(one).w

  test('pissa begins from the largest singular values, s·A₀·B₀ being their part of W', () => {
    const { a0, b0 } = started('pissa')
    const part = mul(matmul(a0.value, b0.value), 2)
    // What is left is orthogonal to what was taken, and each factor has half of each value.
    expect(item(sum(mul(part, sub(w, part))))).toBeCloseTo(0, 3)
    expect(item(sum(square(sub(w, part))))).toBeLessThan(item(sum(square(w))) * (1 - 4 / 24))
    expect(distance(sum(square(a0.value), { axes: 0 }), sum(square(b0.value), { axes: 1 }))).toBeLessThan(1e-4)
  })

  test('olora begins from QR of the transposed weight: the rows of B₀ are orthonormal and span the first rows of W', () => {
    const { a0, b0 } = started('olora')
    const gram = matmul(b0.value, b0.value, { transposeB: true })
    const eye = tensor(
      Float32Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1 : 0)),
      [4, 4],
    )
    expect(distance(gram, eye)).toBeLessThan(1e-5)
    const first = [...read(matmul(a0.value, b0.value))].slice(0, 4 * 24)
    first.forEach((x, i) => expect(x).toBeCloseTo(read(w)[i]!, 4))
  })

  test.each(['pissa', 'olora'] as const)(
    '%s: outputs bit for bit those of the base, and detach gives the very base',
    (init) => {
      const tuned = lora({ at: '**', rank: 2, init, alpha: 3 })(base)
      expect(numbers(() => sllm.apply(tuned, ids))).toEqual(numbers(() => sllm.apply(base, ids)))
      const after = detach(tuned)
      expect(leaves(after).every((leaf, i) => leaf === leaves(base)[i])).toBe(true)
      expect(count(tuned).parameters - count(base).parameters).toBe(
        count(lora({ at: '**', rank: 2 })(base)).parameters - count(base).parameters,
      )
    },
  )

  test('A₀ and B₀ cost nothing until training moves A and B', () => {
    const { a, b, a0, b0 } = started('pissa')
    expect([a.value === a0.value, b.value === b0.value]).toEqual([true, true])
  })

  test('dropout concerns A alone, as where the base has lost A₀·B₀', () => {
    const node = lora({ at: 'w', rank: 2, init: 'pissa', dropout: 0.5 })(one).w
    const x = normal(key(5), [3, 40])
    const ctx = context({ train: true, key: key(6) })
    const dropped = lora({ at: 'w', rank: 2, dropout: 0.5 })(one).w
    const classic = {
      ...dropped,
      a: { ...dropped.a, label: node.a.label, value: node.a.value },
      b: node.b,
      base: residual(node),
    }
    expect(distance(project(x, node, ctx), project(x, classic, ctx))).toBeLessThan(1e-4)
  })
  const residual = (node: LoraFrom<Matrix>): Matrix => ({
    ...one.w,
    value: sub(w, mul(matmul(node.a0.value, node.b0.value), node.alpha)),
  })

  test('what does not fit is refused before anything is computed', () => {
    const issues = (options: object) =>
      brief(refused(one, lora({ at: 'w', rank: 2, init: 'pissa', ...options }) as never))
    expect(issues({ rank: 25 })).toEqual(['BadDimension w'])
    expect(issues({ alpha: 0 })).toEqual(['BadOption w'])
    expect(issues({ alpha: -1 })).toEqual(['BadOption w'])
    expect(() => lora({ at: 'w', rank: 2, init: 'olora', alpha: -1 })(one)).not.toThrow()
    const broken = {
      w: param(
        'matrix',
        'w',
        tensor([
          [1, Number.NaN],
          [0, 1],
        ]),
      ),
    }
    expect(brief(refused(broken, lora({ at: 'w', rank: 1, init: 'olora' }) as never))).toEqual(['NonFinite w'])
  })

  test('toLora: a plain LoRA of twice the rank on the untouched base, the same factor under any scaling', () => {
    const tuned = lora({ at: 'w', rank: 4, alpha: 3, scaling: 'alpha/sqrt(rank)', init: 'pissa' })(one)
    const trained = withValues(tuned, { 'w.a': normal(key(7), [40, 4]), 'w.b': normal(key(8), [4, 24]) })
    const plain = toLora(trained)
    expect([plain.w._tag, plain.w.a.value.shape, plain.w.base]).toEqual(['Lora', [40, 8], one.w])
    expect(distance(materialize(plain.w, context()), materialize(trained.w, context()))).toBeLessThan(1e-4)
    expect(toLora(one)).toBe(one)
  })
})

describe('DoRA', () => {
  test('a fresh one changes no output, bit for bit, frozen or not, with zero columns too', () => {
    for (const model of [base, freeze(base)]) {
      const tuned = dora({ at: '**', rank: 2, alpha: 3 })(model)
      expect(numbers(() => sllm.apply(tuned, ids))).toEqual(numbers(() => sllm.apply(base, ids)))
    }
    const holed = {
      w: param(
        'matrix',
        'w',
        tensor([
          [1, 0],
          [2, 0],
        ]),
      ),
    }
    const node = dora({ at: 'w', rank: 1 })(holed).w
    expect(data(materialize(node, context()))).toEqual([1, 0, 2, 0])
    const { grads } = valueAndGrad((m: { w: typeof node }) => sum(materialize(m.w, context())))({ w: node }, null)
    expect(Object.values(grads).every((g) => [...read(g)].every(Number.isFinite))).toBe(true)
  })

  test('with the norm detached, the gradient is that where the norm is a number', () => {
    const frozen = freeze(one)
    const drawn = withValues(dora({ at: 'w', rank: 3, alpha: 2, detachNorm: true })(frozen), {
      'w.a': normal(key(2), [40, 3]),
      'w.b': normal(key(3), [3, 24]),
      'w.magnitude': normal(key(4), [24]),
    }).w
    const [x, dy] = [normal(key(5), [4, 40]), normal(key(6), [4, 24])]
    const gradsOf = (node: typeof drawn, f: (w: typeof drawn) => Tensor) =>
      valueAndGrad((m: { w: typeof drawn }) => sum(mul(f(m.w), dy)))({ w: node }, null).grads
    const direction = (w: typeof drawn): Lora<Matrix<'frozen'>> => ({
      ...lora({ at: 'w', rank: 3, alpha: 2 })(frozen).w,
      a: w.a,
      b: w.b,
    })
    const norms = recip(columnNorms(materialize(direction(drawn), context())))
    const want = gradsOf(drawn, (w) => mul(project(x, direction(w), context()), mul(w.magnitude.value, norms)))
    const found = gradsOf(drawn, (w) => project(x, w, context()))
    for (const label of Object.keys(want)) expect(distance(found[label]!, want[label]!)).toBeLessThan(1e-3)
    // And it differs from the exact one, so that the option does something.
    const exact = gradsOf({ ...drawn, detachNorm: false }, (w) => project(x, w, context()))
    expect(distance(found['w.a']!, exact['w.a']!)).toBeGreaterThan(1e-2)
  })
  const recip = (t: Tensor): Tensor =>
    tensor(
      Float32Array.from(read(t), (x) => 1 / x),
      [...t.shape],
    )

  test('its options are LoRA’s own, and its init draws or is refused', () => {
    expect(brief(refused(base, dora({ at: '**', rank: 2, init: 'pissa' as 'kaiming' }) as never))).toEqual([
      'BadOption dora.init',
    ])
    expect(brief(refused(base, dora({ at: '**', rank: 0 }) as never))).toEqual([
      'BadDimension transformer_blocks.0.mha.Wq.weight',
    ])
    const twice = pipe(base, dora({ at: '**.ln_1', rank: 1 }))
    expect(brief(refused(twice, lora({ at: '**.ln_1', rank: 1 }) as never))[0]).toContain('AlreadyAdapted')
  })
})

describe('LoRA on embeddings', () => {
  const table = '**.token_embdgs'

  test('A [vocab, rank] zero, B [rank, d] from N(0, 1); rank·(vocab + d) parameters', () => {
    const tuned = lora.embedding({ at: table, rank: 3 })(base)
    const node: Lora<Table> = get(tuned, 'embedding_block.token_embdgs.weight')
    expect([node.a.value.shape, node.b.value.shape]).toEqual([
      [11, 3],
      [3, 6],
    ])
    expect([largest(node.a.value), spread(node.b.value) > 0.3]).toEqual([0, true])
    expect(count(tuned).parameters - count(base).parameters).toBe(3 * (11 + 6))
  })

  test('a lookup touches the rows of its ids only', () => {
    const big = { w: param('table', 'w', zeros([1000, 8])) }
    const node = lora.embedding({ at: 'w', rank: 2 })(big).w
    const graph = record((i) => lookup(i, node, context()), { shape: [2, 3], dtype: 'int32' })
    expect(Math.max(...graph.nodes.map((n) => n.spec.shape.reduce((x, y) => x * y, 1)))).toBeLessThanOrEqual(2 * 3 * 8)
  })

  test('lora alone takes no table, and lora.embedding no matrix', () => {
    expect(brief(refused(base, lora({ at: table as '**', rank: 1 }) as never))[0]).toContain('NotATarget')
    expect(brief(refused(base, lora.embedding({ at: '**.ln_1' as '**', rank: 1 }) as never))[0]).toContain('NotATarget')
    expect(brief(refused(base, lora.embedding({ at: '**', rank: 1, dropout: 0.1 } as never) as never))).toEqual([
      'BadOption lora.embedding.dropout',
    ])
  })

  test('positions run adapted, at any place of a text', () => {
    const tuned = lora.embedding({ at: '**.position_embdgs', rank: 2 })(base)
    expect(numbers(() => sllm.apply(tuned, ids))).toEqual(numbers(() => sllm.apply(base, ids)))
    const drawn = withValues(tuned, { 'embedding_block.position_embdgs.weight.a': normal(key(3), [9, 2]) })
    expect(distance(sllm.apply(drawn, ids), sllm.apply(merge(drawn), ids))).toBeLessThan(1e-5)
    const [later, x] = [context({ past: { length: 4, layers: [] } }), zeros([1, 3, 6])]
    const [rows, dense] = [drawn, merge(drawn)].map((m) => layer(m.embedding_block.position_embdgs, x, later)) as [
      Tensor,
      Tensor,
    ]
    expect(distance(rows, dense)).toBeLessThan(1e-6)
    expect(issuesOf(() => sllm.apply(drawn, idsOf([Array.from({ length: 10 }, () => 1)])))).toMatchObject([
      { _tag: 'ContextOverflow', path: 'embedding_block.position_embdgs.weight' },
    ])
  })
})

describe('lora in recipes', () => {
  const adapted = (at: unknown, more: object = {}): readonly string[] =>
    Object.values(trainableOf(applyRecipe([{ freeze: {} }, { lora: { at, rank: 2, ...more } }])(base)))
      .map((p) => p.label)
      .filter((l) => l.endsWith('.a'))
  const tokens = 'embedding_block.token_embdgs.weight.a'

  test('a pattern means tables where it names nothing else', () => {
    expect(adapted('**.token_embdgs')).toEqual([tokens])
    expect(adapted('embedding_block.token_embdgs.weight')).toEqual([tokens])
    expect(adapted('embedding_block')).toEqual([tokens, 'embedding_block.position_embdgs.weight.a'])
    expect(adapted('**')).toHaveLength(13)
    expect(adapted('**')).not.toContain(tokens)
    expect(adapted(['**.token_embdgs', 'out_head'])).toEqual([tokens, 'out_head.weight.a'])
    expect(adapted({ glob: ['out_head', '**.token_embdgs'], except: 'final_norm' })).toEqual([
      tokens,
      'out_head.weight.a',
    ])
  })

  test('ranks by pattern reach both', () => {
    const tuned = applyRecipe([
      { freeze: {} },
      {
        lora: {
          at: ['**.token_embdgs', 'out_head', '**.ln_1'],
          rank: 2,
          rankPattern: { '**.token_embdgs': 3, out_head: 5 },
          alphaPattern: { out_head: 4 },
        },
      },
    ])(base)
    expect(count(tuned).trainable).toBe(3 * (11 + 6) + 5 * (6 + 11) + 2 * 2 * (6 + 6))
    expect((tuned.out_head.weight as unknown as Lora).alpha).toBe(4)
  })

  test('what is wrong is told as in a call', () => {
    const issues = (at: unknown, more: object = {}) =>
      brief(issuesOf(() => applyRecipe([{ lora: { at, rank: 2, ...more } }])(base)))
    expect(issues('**.ln1')).toEqual(['NotATarget transformer_blocks.0.ln1'])
    expect(issues(['**.token_embdgs', 'nope'])).toEqual(['NoMatch nope'])
    expect(issues('**.token_embdgs', { dropout: 0.1 })).toEqual(['BadOption lora.embedding.dropout'])
    expect(issues('**.token_embdgs', { init: 'pissa' })).toEqual(['BadOption lora.embedding.init'])
    expect(issues(['out_head', '**.token_embdgs'], { rankPattern: { '**.ln_1': 2 } })).toEqual(['NoMatch **.ln_1'])
  })

  test('pissa, dora and adalora by their keys', () => {
    const tags = (recipe: object): unknown =>
      (applyRecipe([recipe as never])(base).out_head.weight as { _tag: string })._tag
    expect(tags({ lora: { at: 'out_head', rank: 2, init: 'pissa' } })).toBe('LoraFrom')
    expect(tags({ dora: { at: 'out_head', rank: 2, detachNorm: true } })).toBe('Dora')
    expect(tags({ adalora: { at: 'out_head', rank: 2, alpha: 4 } })).toBe('AdaLora')
  })
})

describe('ranks and alphas by pattern', () => {
  const ranks = (tuned: unknown): readonly number[] =>
    leaves(tuned)
      .filter((l) => l.label.endsWith('mlp.ln_1.weight.a') || l.label.endsWith('mlp.c_proj.weight.a'))
      .map((l) => l.value.shape[1]!)

  test('the first pattern that names a weight counts', () => {
    const at = ['**.ln_1', '**.c_proj'] as const
    expect(ranks(lora({ at, rank: 2, rankPattern: { '**.ln_1': 3, '**': 5 } })(base))).toEqual([3, 5, 3, 5])
    expect(ranks(lora({ at, rank: 2, rankPattern: { '**': 5, '**.ln_1': 3 } })(base))).toEqual([5, 5, 5, 5])
    expect(ranks(lora({ at, rank: 2, rankPattern: { 'transformer_blocks.1.mlp': 7 } })(base))).toEqual([2, 2, 7, 7])
    expect(ranks(adalora({ at, rank: 2, rankPattern: { '**.c_proj': 6 } })(base))).toEqual([2, 6, 2, 6])
  })

  test('alpha is over the rank of its own weight', () => {
    const tuned = lora({
      at: ['**.ln_1', 'out_head'],
      rank: 2,
      alpha: 8,
      scaling: 'alpha/rank',
      rankPattern: { out_head: 4 },
      alphaPattern: { '**.ln_1': 6 },
    })(base)
    const factor = (w: Lora<Matrix>): number => w.alpha / w.a.value.shape[1]!
    expect(factor(get(tuned, 'out_head.weight'))).toBe(2)
    expect(factor(get(tuned, 'transformer_blocks.0.mlp.ln_1.weight') as Lora<Matrix>)).toBe(3)
  })

  test.each([
    ['a typo', { rankPattern: { '**.ln_2': 3 } }, 'NoMatch **.ln_2'],
    ['a place that was not selected', { rankPattern: { out_head: 3 } }, 'NoMatch out_head'],
    ['a place of another kind', { alphaPattern: { '**.ln1': 3 } }, 'NotATarget transformer_blocks.0.ln1'],
    ['a rank that is none', { rankPattern: { '**.ln_1': 0 } }, 'BadOption lora.rankPattern'],
    ['an alpha that is none', { alphaPattern: { '**.ln_1': Number.NaN } }, 'BadOption lora.alphaPattern'],
  ])('%s is refused', (_, more, issue) => {
    expect(brief(refused(base, lora({ at: '**.ln_1', rank: 2, ...more }) as never))).toEqual([issue])
  })
})

describe('a bias on B', () => {
  const tuned = lora({ at: '**.mlp', rank: 2, alpha: 6, scaling: 'alpha/rank', bias: true })(base)
  const layerOf = (model: typeof tuned) => model.transformer_blocks[0]!.mlp.ln_1
  const label = 'transformer_blocks.0.mlp.ln_1.shift'

  test('shifts what the layer gives by s·b, and counts out parameters more', () => {
    expect(count(tuned).parameters - count(base).parameters).toBe(4 * (2 * (6 + 6) + 6))
    expect(numbers(() => sllm.apply(tuned, ids))).toEqual(numbers(() => sllm.apply(base, ids)))
    expect([layerOf(tuned)._tag, layerOf(tuned).scale, layerOf(tuned).shift.label]).toEqual(['Shifted', 3, label])
    const drawn = withValues(tuned, { [label]: normal(key(3), [6]) })
    const x = normal(key(4), [1, 6])
    const [y, z] = [drawn, tuned].map((m) => layer(layerOf(m), x, context())) as [Tensor, Tensor]
    expect(distance(sub(y, z), mul(layerOf(drawn).shift.value, 3))).toBeLessThan(1e-5)
  })

  test('merge makes the weight dense and leaves the shift; detach takes both', () => {
    const drawn = withValues(tuned, { [label]: normal(key(3), [6]) })
    const merged = merge(drawn)
    expect(merged.transformer_blocks[0]!.mlp.ln_1.base.weight._tag).toBe('Param')
    expect(distance(sllm.apply(merged, ids), sllm.apply(drawn, ids))).toBeLessThan(1e-5)
    expect(detach(drawn)).toEqual(base)
  })

  test('needs a layer, drawn factors, and a place without an adapter', () => {
    const biased = (model: unknown, options: object) =>
      brief(issuesOf(() => lora({ rank: 2, bias: true, ...options } as never)(model)))
    expect(biased(one, { at: 'w' })).toEqual(['NotATarget w'])
    expect(biased(base, { at: '**.ln_1', init: 'olora' })).toEqual(['BadOption lora.bias'])
    expect(biased(base, { at: '**.ln_1', bias: 'all' })).toEqual(['BadOption lora.bias'])
    expect(biased(tuned, { at: 'transformer_blocks.0.mlp.ln_1' })).toEqual([
      'AlreadyAdapted transformer_blocks.0.mlp.ln_1',
    ])
    expect(brief(refused(tuned, lora({ at: 'transformer_blocks.0.mlp.ln_1', rank: 1 }) as never))[0]).toContain(
      'AlreadyAdapted',
    )
    const byRecipe = applyRecipe([{ lora: { at: 'out_head', rank: 2, bias: true } }])(base)
    expect((byRecipe.out_head as { _tag: string })._tag).toBe('Shifted')
  })
})
