import { describe, expect, test } from 'vitest'
import {
  applyRecipe,
  count,
  define,
  fourierft,
  freeze,
  get,
  ia3,
  key,
  layer,
  leaves,
  linear,
  loha,
  lokr,
  lora,
  merge,
  miss,
  nest,
  pipe,
  tokens,
  trainableOf,
  vera,
} from '../../src/index.ts'
import { read } from '../../src/ops/index.ts'
import { brief, data, issuesOf, loud, refused, tinySllm } from '../support.ts'

const base = tinySllm()

/** Weights of the sizes that GPT-2 small has, one layer of twelve. */
const Layer = define(
  'Layer',
  { c_attn: linear('d', '3*d'), c_fc: linear('d', '4*d'), c_proj: linear('4*d', 'd') },
  (n, x, ctx) => layer(n.c_proj, layer(n.c_fc, layer(n.c_attn, x, ctx), ctx), ctx),
)
const gpt2 = freeze(Layer.init({ d: 768 }, key(0)))

const added = (step: (model: typeof gpt2) => unknown): number => count(step(gpt2)).trainable

describe('what each method trains, by hand', () => {
  // PEFT, measured: IA3 on GPT-2 small 64,512, VeRA of rank 256 on c_attn 30,720.
  test.each([
    ['loha, rank 8: 2·8·(768 + 2304)', loha({ at: 'c_attn' }), 49_152],
    // 768 = 24·32, 2304 = 48·48: w1 24×48, w2 32×8 and 8×48.
    ['lokr, rank 8: 24·48 + 8·(32 + 48)', lokr({ at: 'c_attn' }), 1_792],
    // By 16: 768 = 16·48, 2304 = 16·144.
    ['lokr by 16: 16·16 + 8·(48 + 144)', lokr({ at: 'c_attn', decomposeFactor: 16 }), 1_792],
    ['lokr, both thin: 8·(24 + 48) + 8·(32 + 48)', lokr({ at: 'c_attn', decomposeBoth: true }), 1_216],
    // 48/2 is not above 24, so w1 stays whole.
    ['lokr, rank 24: 24·48 + 32·48', lokr({ at: 'c_attn', rank: 24 }), 2_688],
    ['vera: (2304 + 256) · 12 layers = 30,720', vera({ at: 'c_attn' }), 30_720 / 12],
    ['ia3: outputs 2304', ia3({ at: 'c_attn' }), 2_304],
    ['ia3: inputs 3072', ia3.inputs({ at: 'c_proj' }), 3_072],
    [
      'ia3 as PEFT puts it on GPT-2: 64,512',
      applyRecipe([{ ia3: { at: ['c_attn', 'c_proj'], inputs: 'c_proj' } }]),
      64_512 / 12,
    ],
    ['fourierft: 1000 a weight', fourierft({ at: ['c_attn', 'c_fc'] }), 2_000],
  ] as const)('%s', (_, step, expected) => {
    expect(added(step as never)).toBe(expected)
  })

  test('tokens: k·d, of the token embedding and not of the positions', () => {
    const tuned = pipe(base, freeze, tokens({ ids: [3, 9] }))
    expect(count(tuned).trainable).toBe(2 * 6)
    expect(Object.keys(trainableOf(tuned))).toEqual(['embedding_block.token_embdgs.weight.rows'])
  })
})

describe('lokr', () => {
  const One = define('One', { fc: linear('d', 'd', { bias: false }) }, (n, x, ctx) => layer(n.fc, x, ctx))
  const one = One.init({ d: 16 }, key(0))
  test('its tag says which factors are thin', () => {
    const tag = (step: (model: typeof one) => unknown): unknown => (step(one) as typeof one).fc.weight._tag
    expect(tag(lokr({ at: 'fc' }))).toBe('LokrFullFull')
    expect(tag(lokr({ at: 'fc', rank: 1 }))).toBe('LokrFullLow')
    expect(tag(lokr({ at: 'fc', rank: 1, decomposeBoth: true }))).toBe('LokrLowLow')
    expect(tag(lokr({ at: 'fc', rank: 2, decomposeBoth: true, decomposeFactor: 8 }))).toBe('LokrLowFull')
  })

  test('a rank of its own for a pattern may change the form', () => {
    const tuned = lokr({ at: ['c_attn', 'c_fc'], rankPattern: { c_fc: 32 } })(gpt2)
    expect([tuned.c_attn.weight._tag, tuned.c_fc.weight._tag]).toEqual(['LokrFullLow', 'LokrFullFull'])
    expect(added(lokr({ at: 'c_attn', rankPattern: { c_attn: 24 } }))).toBe(2_688)
  })

  test('a length that does not divide has a w1 of one row', () => {
    const Prime = define('Prime', { fc: linear('in', 'out', { bias: false }) }, (n, x, ctx) => layer(n.fc, x, ctx))
    const tuned = lokr({ at: 'fc', rank: 4 })(freeze(Prime.init({ in: 101, out: 103 }, key(0))))
    expect(count(tuned).trainable).toBe(1 + 4 * (101 + 103))
  })

  test('alpha is divided by the rank asked for, also where no factor has it', () => {
    const [thin, whole] = [
      lokr({ at: 'fc', rank: 4, alpha: 8, scaling: 'alpha/rank' }),
      lokr({ at: 'fc', rank: 16, alpha: 8, scaling: 'alpha/rank' }),
    ]
    expect([thin(one).fc.weight, whole(one).fc.weight].map((w) => [w._tag, w.rank])).toEqual([
      ['LokrFullFull', 4],
      ['LokrFullFull', 16],
    ])
    const changeOf = (step: typeof thin): readonly number[] => {
      const { fc } = loud(step(one), (l) => l.includes('.weight.w'))
      return data(merge({ fc }).fc.weight.value).map((x, i) => x - data(one.fc.weight.value)[i]!)
    }
    // The same factors, by 8/4 and by 8/16.
    const [by2, by05] = [changeOf(thin), changeOf(whole)]
    expect(Math.max(...by2.map((x, i) => Math.abs(x - 4 * by05[i]!)))).toBeLessThan(1e-5)
  })

  test('refuses a factor that is no size', () => {
    expect(brief(refused(base, lokr.unchecked({ at: '**', decomposeFactor: 0 })))).toEqual([
      'BadDimension lokr.decomposeFactor',
    ])
    expect(brief(refused(base, lokr.unchecked({ at: '**', decomposeBoth: 1 as never })))).toEqual([
      'BadOption lokr.decomposeBoth',
    ])
  })
})

describe('how they begin', () => {
  const deviation = (values: ArrayLike<number>): number =>
    Math.sqrt(Array.from(values).reduce((n, x) => n + x * x, 0) / values.length)
  test('loha: N(0, 1), N(0, 0.1²), N(0, 1), zeros', () => {
    const { weight } = loha({ at: 'c_attn' })(gpt2).c_attn
    const found = [weight.w1a, weight.w1b, weight.w2a, weight.w2b].map((w) => deviation(read(w.value)).toFixed(1))
    expect(found).toEqual(['1.0', '0.1', '1.0', '0.0'])
  })
  test('vera: U(±√(6/inputs)) for both projections, d 0.1, b zeros', () => {
    const { weight } = vera({ at: 'c_attn' })(gpt2).c_attn
    const most = (values: ArrayLike<number>): number => Math.max(...Array.from(values).map(Math.abs))
    expect(most(read(weight.projectionA.value).subarray(0, 60_000))).toBeCloseTo(Math.sqrt(6 / 768), 4)
    expect(most(read(weight.projectionB.value).subarray(0, 60_000))).toBeCloseTo(Math.sqrt(6 / 256), 4)
    expect([...new Set([...read(weight.d.value), ...read(weight.b.value)])]).toEqual([Math.fround(0.1), 0])
  })
})

describe('vera', () => {
  const projections = (model: unknown): readonly string[] =>
    [...new Set(leaves(model).filter((l) => l._tag === 'Constant'))].map((l) => `${l.label} ${l.value.shape.join('x')}`)

  test('has two projections for a whole model, as large as the largest weight wants', () => {
    expect(projections(vera({ at: '**', rank: 5, key: key(7) })(base))).toEqual([
      'veraA.12x5.0000000000000007 12x5',
      'veraB.5x12.0000000000000007 5x12',
    ])
  })

  test('a second call takes those of the first, if sizes and key are the same', () => {
    const [q, v] = [vera({ at: '**.Wq', rank: 5 }), vera({ at: '**.Wv', rank: 5 })]
    expect(projections(pipe(base, q, v))).toHaveLength(2)
    const bothKeys = pipe(base, q, vera({ at: '**.Wv', rank: 5, key: key(1) }))
    expect(projections(bothKeys)).toHaveLength(4)
    // c_proj is 6×6: it takes the same A, and a B of its own.
    expect(projections(pipe(base, q, vera({ at: '**.c_proj', rank: 5 })))).toHaveLength(3)
    expect(new Set(projections(bothKeys)).size).toBe(4)
  })

  test('two models side by side have projections of their own, and one call on both has one pair', () => {
    const pair = { query: nest('query', tinySllm(0)), doc: nest('doc', tinySllm(1)) }
    const apart = { query: vera.unchecked({ at: '**' })(pair.query), doc: vera.unchecked({ at: '**' })(pair.doc) }
    expect(projections(apart).map((l) => l.split('.')[0])).toEqual(['query', 'query', 'doc', 'doc'])
    expect(projections(vera.unchecked({ at: '**' })(pair))).toHaveLength(2)
  })
})

describe('ia3 of recipes', () => {
  const tags = (recipe: object): readonly unknown[] => {
    const tuned = applyRecipe([{ ia3: recipe }] as never)(base)
    const { mlp } = tuned.transformer_blocks[0]! as never as { mlp: Record<string, { weight: { _tag: string } }> }
    return [mlp['ln_1']!.weight._tag, mlp['c_proj']!.weight._tag]
  }
  test('a place that both name counts as input', () => {
    expect(tags({ at: '**.mlp' })).toEqual(['Ia3', 'Ia3'])
    expect(tags({ at: '**.mlp', inputs: '**.c_proj' })).toEqual(['Ia3', 'Ia3Inputs'])
    expect(tags({ at: '**.ln_1', inputs: '**.c_proj' })).toEqual(['Ia3', 'Ia3Inputs'])
    expect(tags({ at: '**.c_proj', inputs: '**.c_proj' })).toEqual(['Param', 'Ia3Inputs'])
  })
  test('layers are scaled as a whole, and none whose weight is scaled', () => {
    const tuned = applyRecipe([{ ia3: { inputs: '**.mlp.c_proj', layers: '**.mlp.ln_1' } }])(base)
    const { mlp } = tuned.transformer_blocks[0]! as never as { mlp: Record<string, { _tag: string; weight: unknown }> }
    expect([mlp['ln_1']!._tag, mlp['c_proj']!._tag]).toEqual(['ScaledOutputs', 'Linear'])
    expect(brief(issuesOf(() => tags({ at: '**.mlp.ln_1', layers: '**.mlp.ln_1' })))[0]).toMatch(/^AlreadyAdapted/)
  })
  test('a pattern without a hit is told, whichever it is', () => {
    const issues = (recipe: object) => brief(issuesOf(() => tags(recipe)))
    expect(issues({ at: '**.nope', inputs: '**.c_proj' })).toEqual(['NoMatch **.nope'])
    expect(issues({ at: '**.mlp', inputs: '**.nope' })).toEqual(['NoMatch **.nope'])
    expect(issues({})).toEqual(['BadOption ia3'])
  })
})

test('recipes of all of them want no more than a place', () => {
  const of = (step: object) => count(applyRecipe([{ freeze: {} }, step] as never)(base)).trainable
  // Wq of two blocks, 6×12.
  expect([
    of({ loha: { at: '**.Wq' } }),
    of({ lokr: { at: '**.Wq' } }),
    of({ vera: { at: '**.Wq' } }),
    of({ ia3: { at: '**.Wq' } }),
    of({ ia3: { layers: '**.Wq' } }),
    of({ fourierft: { at: '**.Wq', frequencies: 10 } }),
    of({ miss: { at: '**.Wq', rank: 5 } }),
  ]).toEqual([2 * 288, 2 * (2 * 3 + 3 * 4), 2 * 268, 24, 24, 20, 2 * 5 * 12])
})

test('miss wants a rank up to the inputs, and columns that divide the outputs', () => {
  // Wq is 6×12.
  expect(brief(refused(base, miss.unchecked({ at: 'transformer_blocks.0.mha.Wq', rank: 7 })))).toEqual([
    'BadDimension transformer_blocks.0.mha.Wq.weight',
  ])
  expect(brief(refused(base, miss.unchecked({ at: 'transformer_blocks.0.mha.Wq', rank: 6, columns: 5 })))).toEqual([
    'BadDimension transformer_blocks.0.mha.Wq.weight',
  ])
  const all = miss({ at: '**.mha', rank: 6, columns: 3, rankPattern: { '**.Wq': 2 } })(freeze(base))
  expect(get(all, 'transformer_blocks.0.mha.Wq.weight').block.value.shape).toEqual([2, 3])
  expect(get(all, 'transformer_blocks.0.mha.Wk.weight').block.value.shape).toEqual([6, 3])
})

test('they go together on different weights, and none of them twice on one', () => {
  const all = pipe(
    base,
    freeze,
    loha({ at: '**.Wq' }),
    lokr({ at: '**.Wk' }),
    vera({ at: '**.Wv', rank: 2 }),
    ia3({ at: '**.ln_1' }),
    ia3.inputs({ at: '**.c_proj' }),
    fourierft({ at: 'out_head', frequencies: 5 }),
    tokens({ ids: [1] }),
  )
  expect(brief(refused(all, lora.unchecked({ at: '**', rank: 1 })))).toHaveLength(11)
  expect(count(merge(all))).toEqual(count(freeze(base)))
})
