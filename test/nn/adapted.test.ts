import { describe, expect, test } from 'vitest'
import {
  LinearKind,
  anyModel,
  context,
  gemma2,
  initialise,
  key,
  layer,
  mapLeaves,
  modelKinds,
  param,
  places,
  replaceAt,
  shapeIssues,
  withValue,
} from '../../src/index.ts'
import { kinds } from '../../src/index.ts'
import type { Adapted, LayerAdapter, Bottleneck, Layer, Model, Param, Sublayers } from '../../src/index.ts'
import { bottleneck } from '../../src/transform/bottleneck.ts'
import { tensor } from '../../src/ops/index.ts'
import { idsOf, issuesOf, loud, messageOf, numbers, tinySllm } from '../support.ts'

type Rows = readonly (readonly number[])[]

const matrix = (label: string, rows: Rows) => param('matrix', label, tensor(rows.map((r) => [...r])))
const vector = (label: string, row: readonly number[]) => param('vector', label, tensor([...row]))
const lin = (label: string, weight: Rows, bias: readonly number[]) =>
  ({ _tag: 'Linear', weight: matrix(`${label}.weight`, weight), bias: vector(`${label}.bias`, bias) }) as const

const relu = (x: number): number => Math.max(0, x)

const small = (parts: Partial<Bottleneck> = {}, label = 'a'): Bottleneck => ({
  _tag: 'Bottleneck',
  name: '',
  down: lin(`${label}.down`, [[1], [2]], [0.5]),
  up: lin(`${label}.up`, [[3, -1]], [0.25, 0]),
  activation: 'relu',
  scaling: 2,
  scale: null,
  dropout: 0,
  ...parts,
})

// x·[[1, 0], [1, 1]] + [0, 1] of [1, 2] is [3, 3].
const base = lin(
  'fc',
  [
    [1, 0],
    [1, 1],
  ],
  [0, 1],
)
const x = [1, 2] as const
const y = [3, 3] as const

const run = (node: unknown, ...rows: Rows): readonly number[] =>
  numbers(() => layer(node as Layer, tensor(rows.map((r) => [...r])), context()))

const adapted = (mode: Adapted['mode'], adapter: LayerAdapter): Adapted<typeof base, LayerAdapter> => ({
  _tag: 'Adapted',
  base,
  adapter,
  mode,
})

/** 2·Up(relu(Down h)) of the small bottleneck. */
const delta = ([a, b]: readonly number[], factor = 2): readonly number[] => {
  const narrow = relu(a! + 2 * b! + 0.5)
  return [factor * (3 * narrow + 0.25), factor * -narrow]
}

const plus = (a: readonly number[], b: readonly number[]): readonly number[] => a.map((v, i) => v + b[i]!)

describe('in plain numbers', () => {
  test('a bottleneck gives s·Up(f(Down h)), and nothing of h', () => {
    expect(run(small(), x)).toEqual(delta(x))
    expect(run(small({ scale: vector('s', [0.5]) }), x)).toEqual(delta(x, 1))
    expect(run(small({ down: lin('d', [[-1], [0]], [0]) }), x)).toEqual([0.5, 0])
  })

  test.each([
    ['gelu', 1.9544997],
    ['silu', 1.7615942],
    ['tanh', 0.9640276],
    ['relu', 2],
  ] as const)('%s', (activation, at2) => {
    const unit = small({ activation, scaling: 1, down: lin('d', [[1], [0]], [1]), up: lin('u', [[1, 0]], [0, 0]) })
    expect(run(unit, x)[0]).toBeCloseTo(at2, 5)
  })

  test('behind its layer: y + δ(y); beside it: y + δ(x)', () => {
    expect(run(base, x)).toEqual(y)
    expect(run(adapted('sequential', small()), x)).toEqual(plus(y, delta(y)))
    expect(run(adapted('parallel', small()), x)).toEqual(plus(y, delta(x)))
  })
})

const a = small()
const b = small({ scaling: -0.5, activation: 'relu', up: lin('b.up', [[1, 1]], [0, 0]) }, 'b')
const c = small({ scaling: 0.25 }, 'c')
const deltaB = ([p, q]: readonly number[]): readonly number[] => [-0.5, -0.5].map((s) => s * relu(p! + 2 * q! + 0.5))

describe('compositions', () => {
  test('a stack gives each part what those before it have made', () => {
    const first = delta(x)
    const want = plus(first, deltaB(plus(x, first)))
    expect(run(bottleneck.stack(a, b), x)).toEqual(want)
    expect(run(adapted('parallel', bottleneck.stack(a, b)), x)).toEqual(plus(y, want))
    expect(run(bottleneck.stack(b, a), x)).not.toEqual(want)
  })

  test('an average is the weighted mean of what its parts add', () => {
    const mean = (u: number, v: number): readonly number[] => delta(x).map((d, i) => u * d + v * deltaB(x)[i]!)
    expect(run(bottleneck.average([a, b]), x)).toEqual(mean(0.5, 0.5))
    expect(run(bottleneck.average([a, b], [1, 3]), x)).toEqual(mean(0.25, 0.75))
    expect(bottleneck.average([a, b], [2, 6])).toEqual(bottleneck.average([a, b], [0.25, 0.75]))
  })

  test('in parallel each part has its own rows: the batch repeated gives [a; b]', () => {
    const other = [-1, 4] as const
    const both = bottleneck.parallel(a, b)
    expect(run(both, x, other, x, other)).toEqual([...run(a, x, other), ...run(b, x, other)])
    expect(run(both, x, other)).toEqual([...run(a, x), ...run(b, other)])
    expect(run(adapted('sequential', both), x, x)).toEqual([
      ...run(adapted('sequential', a), x),
      ...run(adapted('sequential', b), x),
    ])
    expect(messageOf(() => run(both, x, other, x))).toMatchInlineSnapshot(`
      "ShapeMismatch at a.down.weight: expected a batch that 2 adapters in parallel divide, found 3 rows.
        Repeat the batch 2 times, once for each adapter, or give each its own rows in equal number."
    `)
  })

  test('a fusion weighs its parts by softmax((h·Q)·(δ·K)), then V', () => {
    const fused = { ...bottleneck.fuse([a, b], { label: 'f' }) }
    const written = {
      ...fused,
      query: matrix('q', [
        [0.1, 0],
        [0, 0.2],
      ]),
      key: matrix('k', [
        [0.5, 0.1],
        [0, 0.25],
      ]),
      value: matrix('v', [
        [1, 2],
        [0, 1],
      ]),
    }
    const [q0, q1] = [0.1 * x[0], 0.2 * x[1]]
    const score = ([d0, d1]: readonly number[]): number => q0 * d0! * 0.5 + q1 * (d0! * 0.1 + d1! * 0.25)
    const [s, t] = [Math.exp(score(delta(x))), Math.exp(score(deltaB(x)))]
    const [m0, m1] = plus(
      delta(x).map((v) => (v * s) / (s + t)),
      deltaB(x).map((v) => (v * t) / (s + t)),
    )
    const got = run(written, x)
    ;[m0!, 2 * m0! + m1!].forEach((want, i) => expect(got[i]).toBeCloseTo(want, 4))
  })

  test('a fresh fusion of one part is that part, to the bit', () => {
    expect(run(bottleneck.fuse([a]), x)).toEqual(run(a, x))
  })

  test('shapes of compositions fit their kinds, wrong ones do not', () => {
    const fits = (adapter: LayerAdapter) =>
      shapeIssues(adapted('parallel', adapter), LinearKind, kinds).map((i) => `${i.path} ${i.expected}`)
    for (const adapter of [
      a,
      bottleneck.stack(a, b, c),
      bottleneck.average([a, bottleneck.stack(b, c)]),
      bottleneck.fuse([a, b]),
    ])
      expect(fits(adapter)).toEqual([])
    const wrong = mapLeaves(a, (leaf) =>
      leaf.label === 'a.up.bias' ? withValue(leaf as Param, tensor([1, 2, 3])) : leaf,
    ) as Bottleneck
    expect(fits(bottleneck.stack(b, wrong))).not.toEqual([])
  })
})

describe('sublayers of the models', () => {
  test('are to the run time what they are to the compiler', () => {
    const said: { readonly [T in keyof Sublayers]: Sublayers[T] } = {
      Attention: 'attention',
      GroupedAttention: 'attention',
      Mlp: 'feedForward',
      GatedMlp: 'feedForward',
      Gpt2Attention: 'attention',
      Gpt2Mlp: 'feedForward',
      DistilBertAttention: 'attention',
      DistilBertFfn: 'feedForward',
      BertSelfOutput: 'attention',
      BertOutput: 'feedForward',
    }
    const all = Object.values({ ...kinds, ...modelKinds }).filter(({ sublayer }) => sublayer !== undefined)
    expect(Object.fromEntries(all.map(({ tag, sublayer }) => [tag, sublayer]))).toEqual(said)
  })

  const size = { vocab_size: 50, hidden_size: 8, intermediate_size: 12, num_hidden_layers: 2, num_attention_heads: 2 }
  test.each([
    ['gemma2', gemma2.init({ ...size, num_key_value_heads: 1, head_dim: 4 }, key(0))],
    ['sllm', tinySllm()],
  ] as const)('of %s are told what goes around them', (_, model) => {
    const ids = idsOf([[1, 2, 3]])
    const tuned = bottleneck.unchecked({ placement: 'houlsby', at: '**', reduction: 2 })(model as Model)
    const told = [...places(tuned)].filter(({ node }) => (node as { _tag?: string } | null)?._tag === 'Adapted')
    expect(told).toHaveLength(4)
    const outputs = (['sequential', 'residual', 'joined'] as const).map((mode) => {
      const moded = replaceAt(
        tuned,
        told.map(({ route, node }) => ({ route, value: { ...(node as Adapted), mode } })),
      )
      return numbers(() => anyModel.apply(loud(moded, (label) => label.includes('adapter')) as Model, ids))
    })
    expect(new Set(outputs.map(String)).size).toBe(3)
  })
})

describe('is refused', () => {
  test('an adapter whose outputs are not those of its layer, though they could be repeated', () => {
    const one = small({ up: lin('u', [[1]], [0]) })
    expect(messageOf(() => run(adapted('sequential', one), x))).toMatchInlineSnapshot(`
      "ShapeMismatch at a.down.weight: expected an adapter that gives [1, 2], as its layer does, found [1, 1].
        Give \`bottleneck\` the width of the layer, { width }, where its weights do not tell it."
    `)
  })

  test('a composition of nothing, and weights that are none', () => {
    const none = [] as unknown as [LayerAdapter]
    expect(issuesOf(() => bottleneck.stack(...none))[0]?._tag).toBe('BadOption')
    expect(issuesOf(() => bottleneck.fuse(none))[0]?._tag).toBe('BadOption')
    for (const weights of [[1], [1, 2, 3], [0, 0], [-1, 2], [Number.NaN, 1], [Infinity, 1]])
      expect(issuesOf(() => bottleneck.average([a, b], weights))[0]?.path).toBe('bottleneck.average')
  })
})

test('dropout is drawn anew for each adapter, and only in training', () => {
  const wide = (label: string): Bottleneck => {
    const fresh = initialise(
      kinds['Bottleneck']!,
      { in: 4, width: 4, out: 64 },
      key(1),
      { dropout: 0.5, scale: null },
      label,
    )
    return loud(fresh, () => true) as Bottleneck
  }
  const input = tensor([[1, 2, 3, 4]])
  const out = (node: Bottleneck, ctx = {}): readonly number[] => numbers(() => layer(node, input, context(ctx)))
  const dropped = (node: Bottleneck): readonly boolean[] => out(node, { train: true, key: key(2) }).map((v) => v === 0)
  const [one, other] = [dropped(wide('one')), dropped(wide('other'))]
  expect(one.filter(Boolean).length).toBeGreaterThan(10)
  expect(one.filter(Boolean).length).toBeLessThan(54)
  expect(one).not.toEqual(other)
  expect(dropped(wide('one'))).toEqual(one)
  expect(out(wide('one')).some((v) => v === 0)).toBe(false)
  expect(issuesOf(() => out(wide('one'), { train: true }))[0]?._tag).toBe('NoKey')
})
