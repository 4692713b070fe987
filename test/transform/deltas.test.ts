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
  nest,
  param,
  pipe,
  prompt,
  sllm,
  tokens,
  trainableOf,
  vera,
} from '../../src/index.ts'
import { read, zeros } from '../../src/ops/index.ts'
import { brief, data, idsOf, issuesOf, loud, refused, tinySllm } from '../support.ts'

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
  test('a pattern without a hit is told, whichever it is', () => {
    const issues = (recipe: object) => brief(issuesOf(() => tags(recipe)))
    expect(issues({ at: '**.nope', inputs: '**.c_proj' })).toEqual(['NoMatch **.nope'])
    expect(issues({ at: '**.mlp', inputs: '**.nope' })).toEqual(['NoMatch **.nope'])
    expect(issues({ inputs: '**.c_proj' })).toEqual(['BadRecipe [0].ia3.at'])
  })
})

describe('fourierft', () => {
  const positions = (model: {
    readonly fc: { readonly weight: { readonly positions: { readonly value: never } } }
  }) => [...read(model.fc.weight.positions.value)]
  const One = define('One', { fc: linear('in', 'out') }, (n, x, ctx) => layer(n.fc, x, ctx))

  test('all positions are different, and as many as there are elements is the most', () => {
    const one = One.init({ in: 7, out: 5 }, key(0))
    const at = positions(fourierft({ at: 'fc', frequencies: 35, key: key(2) })(one) as never)
    expect(new Set(Array.from({ length: 35 }, (_, k) => at[k]! * 5 + at[35 + k]!)).size).toBe(35)
    expect(brief(refused(one, fourierft.unchecked({ at: 'fc', frequencies: 36 })))).toEqual(['BadDimension fc.weight'])
    expect(brief(refused(one, fourierft.unchecked({ at: 'fc' })))).toEqual(['BadDimension fc.weight'])
  })

  test('every position is as likely as any other', () => {
    const hits = new Map<number, number>()
    for (let seed = 0; seed < 600; seed += 1) {
      const at = positions(
        fourierft({ at: 'fc', frequencies: 3, key: key(seed) })(One.init({ in: 3, out: 4 }, key(0))) as never,
      )
      for (let k = 0; k < 3; k += 1) hits.set(at[k]! * 4 + at[3 + k]!, (hits.get(at[k]! * 4 + at[3 + k]!) ?? 0) + 1)
    }
    // 600·3/12 = 150 of each, give or take four deviations of 10.6.
    expect([...hits.values()].every((n) => Math.abs(n - 150) < 43)).toBe(true)
    expect(hits.size).toBe(12)
  })

  test('weights of one shape have theirs at the same positions, others not', () => {
    const tuned = fourierft({ at: '**', frequencies: 6 })(base)
    const { mha } = tuned.transformer_blocks[0]!
    expect([...read(mha.Wq.weight.positions.value)]).toEqual([...read(mha.Wv.weight.positions.value)])
    expect([...read(mha.Wq.weight.positions.value)]).not.toEqual([...read(tuned.out_head.weight.positions.value)])
  })

  test('is exact on a side of thousands, where angles of float32 would be noise', () => {
    const long = define('Long', { fc: linear('in', 'out', { bias: false }) }, (n, x, ctx) => layer(n.fc, x, ctx))
    const rows = 50_257
    const model = fourierft({ at: 'fc', frequencies: 2, scale: rows * 2, key: key(4) })(
      long.init({ in: rows, out: 2 }, key(0)),
    )
    const [u0, u1, v0, v1] = [...read(model.fc.weight.positions.value)]
    const [c0, c1] = [...read(model.fc.weight.spectrum.value)]
    const found = read(merge(model).fc.weight.value)
    const start = read(model.fc.weight.base.value)
    const wave = (u: number, v: number, i: number, j: number): number =>
      Math.cos(2 * Math.PI * (Number((BigInt(u) * BigInt(i)) % BigInt(rows)) / rows + (v * j) / 2))
    let worst = 0
    for (let at = 0; at < found.length; at += 101) {
      const [i, j] = [Math.floor(at / 2), at % 2]
      const want = start[at]! + c0! * wave(u0!, v0!, i, j) + c1! * wave(u1!, v1!, i, j)
      worst = Math.max(worst, Math.abs(found[at]! - want))
    }
    expect(worst).toBeLessThan(3e-6)
  })

  test('a side that no int32 angle covers is refused', () => {
    const Wide = { fc: { _tag: 'Linear', weight: param('matrix', 'w', zeros([65_536, 1])), bias: null } }
    expect(brief(refused(Wide, fourierft.unchecked({ at: '**', frequencies: 2 })))).toEqual(['BadDimension fc.weight'])
  })
})

describe('tokens', () => {
  const rows = (model: unknown): readonly number[] => data(sllm.apply(model as never, idsOf([[3, 9, 3, 0]])))

  test('other tokens keep their rows, bit for bit, and merging gives exactly the rows', () => {
    const tuned = loud(tokens({ ids: [9, 3] })(base), (label) => label.endsWith('.rows'))
    const table = [...read(get(merge(tuned), 'embedding_block.token_embdgs.weight').value)]
    const before = [...read(base.embedding_block.token_embdgs.weight.value)]
    const trained = [...read(tuned.embedding_block.token_embdgs.weight.rows.value)]
    const row = (all: readonly number[], i: number) => all.slice(6 * i, 6 * i + 6)
    expect(row(table, 9)).toEqual(row(trained, 0))
    expect(row(table, 3)).toEqual(row(trained, 1))
    for (const i of [0, 1, 2, 4, 5, 6, 7, 8, 10]) expect(row(table, i)).toEqual(row(before, i))
    expect(rows(merge(tuned))).toEqual(rows(tuned))
  })

  test('goes with a soft prompt, in either order', () => {
    const one = pipe(base, prompt({ length: 2 }), tokens({ ids: [3] }))
    const other = pipe(base, tokens({ ids: [3] }), prompt({ length: 2 }))
    expect(rows(one)).toEqual(rows(other))
    expect(one.embedding_block.token_embdgs.base.weight._tag).toBe('TokenRows')
    expect(other.embedding_block.token_embdgs.base.weight._tag).toBe('TokenRows')
  })

  test.each([
    ['an id beyond the vocabulary', [11], 'BadOption tokens.ids'],
    ['a negative id', [-1], 'BadOption tokens.ids'],
    ['half an id', [0.5], 'BadOption tokens.ids'],
    ['an id twice', [2, 3, 2], 'BadOption tokens.ids'],
    ['no id', [], 'BadOption tokens.ids'],
    ['no list', 3, 'BadOption tokens.ids'],
  ])('refuses %s', (_, ids, expected) => {
    expect(brief(refused(base, tokens({ ids: ids as never }) as never))).toEqual([expected])
  })

  test('refuses a second time, a place without tokens, and a tied table', () => {
    expect(brief(refused(tokens({ ids: [1] })(base), tokens({ ids: [2] }) as never))).toEqual([
      'AlreadyAdapted embedding_block.token_embdgs',
    ])
    expect(brief(refused(base, tokens.unchecked({ at: '**.position_embdgs', ids: [1] })))).toEqual([
      'NotATarget embedding_block.position_embdgs',
    ])
    const { weight } = base.embedding_block.token_embdgs
    expect(brief(refused({ ...base, again: weight }, tokens({ ids: [1] }) as never))).toEqual([
      'TiedWeight embedding_block.token_embdgs.weight',
    ])
  })

  test('of a recipe, with and without a place', () => {
    const of = (options: object) => count(applyRecipe([{ freeze: {} }, { tokens: options }] as never)(base)).trainable
    expect([of({ ids: [1, 2] }), of({ ids: [1], at: '**.token_embdgs' })]).toEqual([12, 6])
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
    of({ fourierft: { at: '**.Wq', frequencies: 10 } }),
  ]).toEqual([2 * 288, 2 * (2 * 3 + 3 * 4), 2 * 268, 24, 20])
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
