import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  anyModel,
  applyRecipe,
  bert,
  bottleneck,
  constant,
  context,
  count,
  decodeRecipe,
  define,
  detach,
  equal,
  fold,
  freeze,
  get,
  key,
  layer,
  leaves,
  linear,
  lora,
  merge,
  nest,
  norm,
  pipe,
  places,
  roberta,
  sgd,
  sllm,
  start,
  step,
  ties,
} from '../../src/index.ts'
import type { Adapted, Kind, Packed, Weight } from '../../src/index.ts'
import { loadAdapter, loadModel, orThrow, readAdapter, saveAdapter, saveModel } from '../../src/io/index.ts'
import { matmul, sum, tensor, zeros } from '../../src/ops/index.ts'
import { brief, data, idsOf, loud, messageOf, numbers, refused, tensorsLeftBy, tinySllm } from '../support.ts'

const base = tinySllm()
const ids = idsOf([[1, 2, 3]])
const Net = define(
  'Net',
  { fc1: linear('in', 'hidden'), norm: norm('hidden'), fc2: linear('hidden', 'out') },
  (n, x, ctx) => layer(n.fc2, layer(n.norm, layer(n.fc1, x, ctx), ctx), ctx),
)
const net = Net.init({ in: 4, hidden: 6, out: 3 }, key(0))
const isUp = (label: string): boolean => label.includes('adapter')

describe('counts, from the formula by hand', () => {
  const seed = sllm.init({ ...sllm.config.seed, vocab_size: 9 }, key(0))
  // d = 128 in two blocks: houlsby has four places, the others two.
  test.each([
    [{ placement: 'houlsby' }, 4 * (128 * 8 + 8 + 8 * 128 + 128)],
    [{ placement: 'pfeiffer' }, 2 * (128 * 8 + 8 + 8 * 128 + 128)],
    [{ placement: 'parallel' }, 2 * (128 * 64 + 64 + 64 * 128 + 128)],
    [{ placement: 'pfeiffer', reduction: 48 }, 2 * (128 * 2 + 2 + 2 * 128 + 128)],
    [{ placement: 'pfeiffer', reduction: 1000 }, 2 * (128 + 1 + 128 + 128)],
    [{ placement: 'pfeiffer', reduction: 0.5, scaling: 'learned' }, 2 * (128 * 256 + 256 + 256 * 128 + 128 + 1)],
    [{ placement: 'houlsby', reduction: 4, scaling: 'learned' }, 4 * (128 * 32 + 32 + 32 * 128 + 128 + 1)],
    [{ placement: 'houlsby', at: 'transformer_blocks.{-1..-1}' }, 2 * (128 * 8 + 8 + 8 * 128 + 128)],
  ] as const)('%j', (options, want) => {
    const recipe = [{ freeze: {} }, { bottleneck: options }]
    expect(count(applyRecipe(recipe)(seed)).trainable).toBe(want)
  })

  test('a fusion has three projections more', () => {
    const two = pipe(seed, freeze, bottleneck({ placement: 'pfeiffer' }), bottleneck.join({ as: 'fuse', name: 'b' }))
    expect(count(two).trainable).toBe(2 * (2 * (128 * 8 + 8 + 8 * 128 + 128) + 3 * 128 * 128))
  })
})

describe('where and how it is put', () => {
  test('the defaults of AdapterHub', () => {
    const at = (placement: 'houlsby' | 'pfeiffer' | 'parallel') =>
      get(bottleneck({ placement })(base), 'transformer_blocks.0.mlp')
    expect(at('houlsby')).toMatchObject({
      mode: 'sequential',
      adapter: { activation: 'silu', scaling: 1, scale: null },
    })
    expect(at('pfeiffer')).toMatchObject({ mode: 'sequential', adapter: { activation: 'relu', scaling: 1 } })
    expect(at('parallel')).toMatchObject({ mode: 'parallel', adapter: { activation: 'relu', scaling: 4 } })
  })

  test('houlsby after attention too, the others at the MLP only; nothing else is touched', () => {
    const [h, p] = [bottleneck({ placement: 'houlsby' })(base), bottleneck({ placement: 'pfeiffer' })(base)]
    expect(h.transformer_blocks.map((b) => [b.mha._tag, b.mlp._tag])).toEqual([
      ['Adapted', 'Adapted'],
      ['Adapted', 'Adapted'],
    ])
    expect(p.transformer_blocks[0]!.mha).toBe(base.transformer_blocks[0]!.mha)
    expect(p.transformer_blocks[0]!.mlp.base).toBe(base.transformer_blocks[0]!.mlp)
    expect(p.out_head).toBe(base.out_head)
    expect(detach(h)).toStrictEqual(base)
  })

  test('labels begin with those of the layer, paths with its path', () => {
    const m = bottleneck({ placement: 'pfeiffer', name: 'task' })(nest('student', base))
    const labels = leaves(get(m, 'transformer_blocks.1.mlp.adapter')).map((l) => l.label)
    expect(labels).toEqual(
      ['down.weight', 'down.bias', 'up.weight', 'up.bias'].map(
        (l) => `student.transformer_blocks.1.mlp.adapter.task.${l}`,
      ),
    )
    expect(get(m, 'transformer_blocks.1.mlp.ln_1.weight')).toBe(m.transformer_blocks[1]!.mlp.base.ln_1.weight)
  })

  test('four tensors a place, five with a learned factor', () => {
    expect(tensorsLeftBy(() => bottleneck({ placement: 'pfeiffer' })(base))).toBe(8)
    expect(tensorsLeftBy(() => bottleneck({ placement: 'pfeiffer', scaling: 'learned' })(base))).toBe(10)
  })

  test('any layer that is named, its widths from its weights', () => {
    const width = (m: unknown, path: string): readonly number[] => {
      const { down, up } = get(m as never, `${path}.adapter` as never) as {
        down: { weight: { value: { shape: number[] } } }
        up: typeof down
      }
      return [...down.weight.value.shape, up.weight.value.shape[1]!]
    }
    expect(width(bottleneck.at({ at: 'fc1', reduction: 2 })(net), 'fc1')).toEqual([6, 3, 6])
    expect(width(bottleneck.at({ at: 'fc1', mode: 'parallel', reduction: 2 })(net), 'fc1')).toEqual([4, 2, 6])
    expect(width(bottleneck.at({ at: 'norm', reduction: 2 })(net), 'norm')).toEqual([6, 3, 6])
    const blocks = bottleneck.at({ at: 'transformer_blocks.*', reduction: 2 })(base)
    expect(width(blocks, 'transformer_blocks.0')).toEqual([6, 3, 6])
    expect(sllm.apply(loud(blocks, isUp), ids).shape).toEqual([1, 3, 11])
    const places = bottleneck.at({ at: '**.position_embdgs', reduction: 2 })(base)
    expect(sllm.apply(loud(places, isUp), ids).shape).toEqual([1, 3, 11])
    const adapted = lora({ at: '**', rank: 2 })(net)
    expect(width(bottleneck.at({ at: 'fc1', mode: 'parallel', reduction: 2 })(adapted), 'fc1')).toEqual([4, 2, 6])
  })

  test('a layer without weights needs to be told, and one shared by two places is adapted in both', () => {
    const Bare = define('Bare', {}, (_, x) => x)
    const Two = define('Two', { a: Bare.field({}), b: Bare.field({}) }, (n, x, ctx) =>
      layer(n.b, layer(n.a, x, ctx), ctx),
    )
    const two = Two.init({}, key(0))
    expect(messageOf(() => bottleneck.at({ at: 'a' })(two))).toMatchInlineSnapshot(`
      "NoWidth at a: expected a layer whose weights tell its width, found Bare.
        Give it, { width }."
    `)
    const told = bottleneck.at({ at: 'a', width: 3 })(two)
    expect(Two.apply(told, zeros([2, 3])).shape).toEqual([2, 3])
    const shared = { ...base, transformer_blocks: [base.transformer_blocks[0]!, base.transformer_blocks[0]!] }
    const m = bottleneck({ placement: 'pfeiffer' })(shared)
    expect(m.transformer_blocks[0]!.mlp).toBe(m.transformer_blocks[1]!.mlp)
    expect(Object.keys(ties(m))).toContain('transformer_blocks.0.mlp.adapter.down.weight')
  })
})

describe('together with others', () => {
  const all = lora({ at: '**', rank: 2 })
  const adapt = bottleneck({ placement: 'houlsby', reduction: 2 })

  test('methods for all weights keep out of it, before and after', () => {
    expect(equal(all(adapt(base)), adapt(all(base)))).toBe(true)
    const tuned = adapt(base)
    expect(brief(refused(tuned, lora.unchecked({ at: '**.adapter', rank: 2 }) as never))).toEqual([
      'NotATarget transformer_blocks.0.mha.adapter',
    ])
  })

  test('merge leaves it, which the type says too', () => {
    const tuned = loud(all(adapt(base)), (l) => isUp(l) || l.endsWith('.b'))
    const merged = merge(tuned)
    expect(merged.transformer_blocks[0]!.mlp._tag).toBe('Adapted')
    expect(merged.transformer_blocks[0]!.mlp.adapter).toBe(tuned.transformer_blocks[0]!.mlp.adapter)
    const [was, is] = [numbers(() => sllm.apply(tuned, ids)), numbers(() => sllm.apply(merged, ids))]
    was.forEach((v, i) => expect(is[i]).toBeCloseTo(v, 3))
  })

  test('a layer of which the weights are packed', () => {
    // Halves of whole numbers in eight bits.
    type Halves = Packed<'matrix'>
    const Halves: Kind<Halves, 'weight'> = {
      tag: 'Halves',
      role: 'weight',
      fields: {},
      ops: {
        project: (x, w) => matmul(x, dense(w)),
        projectT: (x, w) => matmul(x, dense(w), { transposeB: true }),
        lookup: () => zeros([1]),
        shape: (w) => [w.rows, w.columns],
        materialize: (w) => dense(w),
      },
    }
    const dense = (w: Halves) =>
      tensor(
        data(w.codes.value).map((c) => c / 2),
        [w.rows, w.columns],
      )
    const codes = constant(
      'fc1.weight.codes',
      tensor(
        Array.from({ length: 24 }, (_, i) => i),
        [24],
        'int32',
      ),
      24,
    )
    const weight = { _tag: 'Halves', form: 'matrix', rows: 4, columns: 6, codes } as const
    const packed = { ...net, fc1: { ...net.fc1, weight: weight as Weight & Halves } }
    const m = bottleneck.at({ at: 'fc1', mode: 'parallel', reduction: 2 })(packed)
    expect(m.fc1.base).toBe(packed.fc1)
    const x = tensor([[1, 2, 3, 4]])
    expect(numbers(() => Net.apply(m as never, x, { kinds: { Halves } }))).toEqual(
      numbers(() => Net.apply(packed as never, x, { kinds: { Halves } })),
    )
    expect(m.fc1.adapter.down.weight.label).toBe('fc1.adapter.down.weight')
    expect(count(freeze(m)).trainable).toBe(0)
    expect(context().kinds['Halves']).toBeUndefined()
  })

  test('freeze before it leaves only it to be trained', () => {
    const tuned = adapt(freeze(base))
    expect(
      leaves(tuned)
        .filter((l) => l._tag === 'Param' && l.status === 'trainable')
        .every((l) => isUp(l.label)),
    ).toBe(true)
    expect(count(freeze(tuned)).trainable).toBe(0)
  })
})

describe('another joins', () => {
  const one = bottleneck({ placement: 'pfeiffer', reduction: 2 })
  const first = loud(one(base), isUp)
  const join2 = bottleneck.join

  test('each way, the first one keeping its leaves, its path and its label', () => {
    for (const as of ['stack', 'average', 'parallel', 'fuse'] as const) {
      const two = join2({ as, name: 'b', reduction: 2 })(first)
      expect(get(two, 'transformer_blocks.0.mlp.adapter.down.weight')).toBe(
        first.transformer_blocks[0]!.mlp.adapter.down.weight,
      )
      expect(detach(two)).toStrictEqual(base)
    }
  })

  test('a fresh one on a stack changes nothing; the same composition gets a part more', () => {
    const two = join2({ as: 'stack', name: 'b', reduction: 2 })(first)
    expect(numbers(() => sllm.apply(two, ids))).toEqual(numbers(() => sllm.apply(first, ids)))
    for (const as of ['stack', 'average', 'parallel', 'fuse'] as const) {
      const three = pipe(first, join2({ as, name: 'b', reduction: 2 }), join2({ as, name: 'c', reduction: 2 }))
      const adapter = three.transformer_blocks[0]!.mlp.adapter
      expect(adapter.others.map((o) => o.name)).toEqual(['b', 'c'])
      expect(adapter.base._tag).toBe('Bottleneck')
    }
  })

  test('two adapters in parallel run side by side in one batch', () => {
    const both = loud(join2({ as: 'parallel', name: 'b', reduction: 2 })(first), (l) => l.includes('adapter.b'))
    const second = {
      ...both,
      transformer_blocks: both.transformer_blocks.map((b) => ({
        ...b,
        mlp: { ...b.mlp, adapter: b.mlp.adapter.others[0]! },
      })),
    }
    const apart = [first, second].flatMap((m) => numbers(() => sllm.apply(m, ids)))
    const at = numbers(() =>
      sllm.apply(
        both,
        idsOf([
          [1, 2, 3],
          [1, 2, 3],
        ]),
      ),
    )
    at.forEach((v, i) => expect(v).toBeCloseTo(apart[i]!, 4))
  })

  test('is refused under a name that is taken, where no adapter is, and where a stack cannot be', () => {
    expect(brief(refused(first, join2({ as: 'stack' }) as never))).toEqual([
      'AlreadyAdapted transformer_blocks.0.mlp',
      'AlreadyAdapted transformer_blocks.1.mlp',
    ])
    expect(brief(refused(base, join2.unchecked({ at: '**', as: 'stack', name: 'b' }) as never))).toEqual([
      'NotATarget ',
    ])
    const wide = bottleneck.at({ at: 'fc1', mode: 'parallel' })(net)
    expect(brief(refused(wide, join2({ as: 'stack', name: 'b' }) as never))).toEqual(['ShapeMismatch fc1'])
    expect(brief(refused(first, join2({ as: 'average', weights: [1], name: 'b' }) as never))).toEqual([
      'BadOption bottleneck.average',
    ])
  })
})

describe('is refused, the model untouched and no tensor left over', () => {
  const put = (options: object) => bottleneck({ placement: 'pfeiffer', ...options } as never) as (m: never) => unknown

  test('a second one in the same place, by whatever name it is reached', () => {
    const once = put({})(base as never)
    for (const at of ['**', '**.mlp', { kind: 'Mlp' }, 'transformer_blocks'])
      expect(brief(refused(once, put({ at })))[0]).toBe('AlreadyAdapted transformer_blocks.0.mlp')
    expect(brief(refused(once, bottleneck.at.unchecked({ at: '**.mlp' }) as never))[0]).toBe(
      'AlreadyAdapted transformer_blocks.0.mlp',
    )
  })

  test.each([
    [{ reduction: 0 }, 'BadOption bottleneck.reduction'],
    [{ reduction: Number.NaN }, 'BadOption bottleneck.reduction'],
    [{ reduction: '2' }, 'BadOption bottleneck.reduction'],
    [{ activation: 'swish' }, 'BadOption bottleneck.activation'],
    [{ scaling: 'channel' }, 'BadOption bottleneck.scaling'],
    [{ scaling: Infinity }, 'BadOption bottleneck.scaling'],
    [{ dropout: 1 }, 'BadOption bottleneck.dropout'],
    [{ width: 1.5 }, 'BadDimension bottleneck.width'],
    [{ name: 'a.b' }, 'BadOption bottleneck.name'],
    [{ placement: 'housby' }, 'BadOption bottleneck.placement'],
    [{ rank: 2 }, 'BadOption bottleneck.rank'],
  ])('%j', (options, issue) => {
    expect(brief(refused(base, put(options)))).toEqual([issue])
  })

  test('a width beyond what a tensor can hold', () => {
    expect(brief(refused(base, put({ reduction: 1e-9 })))).toEqual([
      'BadDimension transformer_blocks.0.mlp',
      'BadDimension transformer_blocks.1.mlp',
    ])
  })

  test('where there is no such layer', () => {
    expect(messageOf(() => put({ at: 'out_head' })(base as never))).toMatchInlineSnapshot(`
      "NotATarget at out_head: expected an MLP, found Linear.
        There is "transformer_blocks.*.mlp", "transformer_blocks.*"."
    `)
    expect(messageOf(() => put({})(net as never))).toMatchInlineSnapshot(`
      "NotATarget at the root: expected an MLP, found Net.
        This model does not have an MLP."
    `)
    expect(messageOf(() => bottleneck.at.unchecked({ at: '**.weight' })(base))).toMatchInlineSnapshot(`
      "NotATarget at embedding_block.token_embdgs.weight: expected a layer, found a table, a matrix.
        There is "**.position_embdgs", "**.embedding_block", "**.transformer_blocks", "**.ln1", "**.mha", "**.Wq", "**.Wk", "**.Wv"."
    `)
    const strange = { ...base, embedding_block: { ...base.embedding_block, _tag: 'Words' } }
    expect(messageOf(() => bottleneck.at.unchecked({ at: '**' })(strange))).toMatchInlineSnapshot(`
      "NotATarget at embedding_block: expected a layer, found Words, which has an embedding.
        Name a layer in it."
    `)
  })

  test('a recipe says the same before it is run', () => {
    const bad = decodeRecipe([{ bottleneck: { placement: 'mlp', reduction: -1, mode: 'parallel' } }])
    expect(bad._tag === 'Left' && bad.left.map((i) => i.path)).toEqual([
      '[0].bottleneck.mode',
      '[0].bottleneck.placement',
      '[0].bottleneck.reduction',
    ])
  })
})

describe('BERT, whose sublayers end in an output', () => {
  const small = { vocab_size: 20, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 12 }
  const encoders = { bert: bert.init(small, key(0)), roberta: roberta.init(small, key(0)) } as const
  const adapters = (model: unknown): Record<string, string> =>
    Object.fromEntries(
      [...places(model)]
        .filter(({ node }) => (node as { _tag?: string } | null)?._tag === 'Adapted')
        .map(({ node, path }) => [path.join('.'), (node as Adapted).mode]),
    )

  test.each(['bert', 'roberta'] as const)('%s: behind the dense of each, beside it by what goes around', (name) => {
    const model = encoders[name]
    const put = (placement: 'houlsby' | 'pfeiffer' | 'parallel') => bottleneck({ placement, reduction: 2 })(model)
    const at = (mode: string, ...ends: readonly string[]) =>
      Object.fromEntries([0, 1].flatMap((i) => ends.map((end) => [`encoder.layer.${i}.${end}.dense`, mode])))
    expect(adapters(put('houlsby'))).toEqual(at('sequential', 'attention.output', 'output'))
    expect(adapters(put('pfeiffer'))).toEqual(at('sequential', 'output'))
    expect(adapters(put('parallel'))).toEqual(at('residual', 'output'))
    for (const placement of ['houlsby', 'pfeiffer', 'parallel'] as const) {
      const tuned = put(placement)
      expect(numbers(() => anyModel.apply(tuned, ids))).toEqual(numbers(() => anyModel.apply(model, ids)))
      expect(numbers(() => anyModel.apply(loud(tuned, isUp), ids))).not.toEqual(
        numbers(() => anyModel.apply(model, ids)),
      )
      expect(detach(tuned)).toStrictEqual(model)
      expect(brief(refused(tuned, bottleneck({ placement }) as never))[0]).toBe(
        `AlreadyAdapted encoder.layer.0.${placement === 'houlsby' ? 'attention.output' : 'output'}`,
      )
    }
  })

  // A layer of BERT base: a twelfth of the 1,789,056, 894,528 and 7,091,712 that AdapterHub counts.
  test.each([
    ['houlsby', 149_088],
    ['pfeiffer', 74_544],
    ['parallel', 590_976],
  ] as const)('a layer of BERT base: %s', (placement, want) => {
    const wide = bert.init(
      { vocab_size: 1, max_position_embeddings: 1, intermediate_size: 4, num_hidden_layers: 1 },
      key(0),
    )
    expect(count(pipe(wide, freeze, bottleneck({ placement }))).trainable).toBe(want)
  })

  test('a layer that is named is none that ends in a sum', () => {
    expect(
      brief(refused(encoders.bert, bottleneck.at.unchecked({ at: '**.output.LayerNorm.scale' }) as never)),
    ).toEqual(['NotATarget encoder.layer.0.attention.output.LayerNorm.scale'])
    const tuned = bottleneck.at({ at: 'encoder.layer.*.output', reduction: 2 })(encoders.bert)
    expect(Object.keys(adapters(tuned))).toEqual(
      [0, 1].flatMap((i) => ['dense', 'LayerNorm'].map((end) => `encoder.layer.${i}.output.${end}`)),
    )
  })
})

describe('trained, saved and put back', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'espalier-bottleneck-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  const adapt = (m: typeof base) =>
    pipe(
      m,
      freeze,
      bottleneck({ placement: 'houlsby', reduction: 2, scaling: 'learned' }),
      bottleneck.join({ as: 'fuse', name: 'b', reduction: 3 }),
    )

  const trained = (model: ReturnType<typeof adapt>) => {
    const optimiser = sgd({ rate: 0.1 })
    const loss = (m: typeof model) => sum(sllm.apply(m, ids))
    return step(optimiser, loss)(start(model, optimiser, { key: key(1) }), null).model
  }

  test('step moves it and nothing else; an adapter holds it alone', async () => {
    const before = adapt(base)
    const after = trained(loud(before, isUp))
    expect(after.out_head).toStrictEqual(before.out_head)
    expect(data(after.transformer_blocks[0]!.mlp.adapter.base.up.bias.value)).not.toEqual(
      data(before.transformer_blocks[0]!.mlp.adapter.base.up.bias.value),
    )
    await orThrow(saveAdapter(after, join(folder, 'adapter')))
    const { carries } = await orThrow(readAdapter(join(folder, 'adapter')))
    expect(carries.length).toBe(4 * (5 + 4 + 3))
    const again = await orThrow(loadAdapter(base, join(folder, 'adapter'), adapt))
    expect(equal(again, after)).toBe(true)
    expect(again.out_head.weight.value).toBe(base.out_head.weight.value)
    expect(equal(await orThrow(loadAdapter(base, join(folder, 'adapter'))), after)).toBe(true)
  })

  test('a whole model with compositions comes back, weights and names included', async () => {
    const m = pipe(
      net,
      bottleneck.at({ at: 'fc1' }),
      bottleneck.join({ as: 'average', name: 'b', weights: [0.1, 0.2] }),
    )
    await orThrow(saveModel(m, join(folder, 'model')))
    expect(equal(await orThrow(loadModel(join(folder, 'model'))), m)).toBe(true)
  })

  test('the key decides what is drawn, as a recipe has it', () => {
    const [k, recipe] = [key(7), [{ bottleneck: { placement: 'pfeiffer', reduction: 2 } }]]
    expect(
      equal(applyRecipe(recipe, k)(base), bottleneck({ placement: 'pfeiffer', reduction: 2, key: fold(k, 0) })(base)),
    ).toBe(true)
    expect(equal(applyRecipe(recipe, key(8))(base), applyRecipe(recipe, k)(base))).toBe(false)
  })
})
