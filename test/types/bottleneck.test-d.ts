import { describe, expectTypeOf, test } from 'vitest'
import {
  applyRecipe,
  bitfit,
  bottleneck,
  define,
  detach,
  freeze,
  get,
  layer,
  linear,
  lora,
  merge,
  norms,
  pipe,
  sllm,
} from '../../src/index.ts'
import type {
  Adapted,
  AdapterStack,
  Attention,
  Bert,
  Bottleneck,
  Issue,
  Linear,
  Lora,
  Matrix,
  Mlp,
  Placement,
  Sllm,
  Vector,
} from '../../src/index.ts'
import type { Either } from 'fp-ts/lib/Either.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <T extends true>(): T => true as T

declare const base: Sllm
declare const encoder: Bert
declare const strings: readonly string[]
declare const placement: Placement
const frozen = freeze(base)
type BlockOf<M extends { readonly transformer_blocks: readonly unknown[] }> = M['transformer_blocks'][number]

type FrozenLinear = Linear<Matrix<'frozen'>, Vector<'frozen'> | null>

describe('placements', () => {
  const h = pipe(base, freeze, bottleneck({ placement: 'houlsby' }))
  const p = pipe(base, freeze, bottleneck({ placement: 'pfeiffer', reduction: 8 }))
  test('say what they wrap', () => {
    expectTypeOf<BlockOf<typeof h>['mha']>().toExtend<Adapted<Attention<FrozenLinear>>>()
    expectTypeOf<BlockOf<typeof h>['mlp']>().toExtend<Adapted<Mlp<FrozenLinear>>>()
    expectTypeOf<BlockOf<typeof p>['mlp']['adapter']>().toEqualTypeOf<Bottleneck>()
    expectTypeOf<BlockOf<typeof p>['mha']>().toEqualTypeOf<BlockOf<typeof frozen>['mha']>()
    expectTypeOf<(typeof p)['out_head']>().toEqualTypeOf<(typeof frozen)['out_head']>()
  })
  test('behind the dense of the outputs of BERT', () => {
    const frozenBert = freeze(encoder)
    type Layer<M extends { readonly encoder: { readonly layer: readonly unknown[] } }> = M['encoder']['layer'][number]
    type Dense = Linear<Matrix<'frozen'>, Vector<'frozen'>>
    const both = pipe(encoder, freeze, bottleneck({ placement: 'houlsby' }))
    expectTypeOf<Layer<typeof both>['attention']['output']['dense']>().toEqualTypeOf<Adapted<Dense>>()
    expectTypeOf<Layer<typeof both>['output']['dense']>().toEqualTypeOf<Adapted<Dense>>()
    expectTypeOf<Layer<typeof both>['intermediate']['dense']>().toEqualTypeOf<Dense>()
    const one = pipe(encoder, freeze, bottleneck({ placement: 'pfeiffer', at: 'encoder.layer.*.output' }))
    expectTypeOf<Layer<typeof one>['attention']>().toEqualTypeOf<Layer<typeof frozenBert>['attention']>()
    expectTypeOf<Layer<typeof one>['output']['dense']>().toEqualTypeOf<Adapted<Dense>>()
    expectTypeOf(detach(both)).toEqualTypeOf(frozenBert)
    // @ts-expect-error -- attention is no feed-forward layer
    pipe(encoder, bottleneck({ placement: 'pfeiffer', at: '**.attention' }))
    const told = applyRecipe([{ bottleneck: { placement: 'houlsby' } }])(encoder)
    expectTypeOf(both.encoder.layer[0]!.output).toExtend<(typeof told)['encoder']['layer'][number]['output']>()
  })
  test('a named layer has an adapter behind it or beside it', () => {
    bottleneck.at({ at: '**.mlp', mode: 'parallel' })
    // @ts-expect-error -- only AdapterHub's files have an adapter that is given the sum
    bottleneck.at({ at: '**.mlp', mode: 'joined' })
  })
  test('detach gives the base back; apply and freeze take it', () => {
    expectTypeOf(detach(h)).toEqualTypeOf(frozen)
    expectTypeOf(detach(p)).toEqualTypeOf(frozen)
    expectTypeOf(sllm.apply).toBeCallableWith(h, {} as never)
    expectTypeOf<BlockOf<ReturnType<typeof freeze<typeof p>>>['mlp']['adapter']['down']>().toEqualTypeOf<
      Linear<Matrix<'frozen'>, Vector<'frozen'>>
    >()
  })
  test('at completes paths and refuses others', () => {
    const one = pipe(frozen, bottleneck({ placement: 'pfeiffer', at: 'transformer_blocks.{0..0}' }))
    type Bare = BlockOf<typeof frozen>['mlp']
    holds<Equal<BlockOf<typeof one>['mlp'], Bare | Adapted<Bare>>>()
    pipe(frozen, bottleneck({ placement: 'houlsby', at: '**.mha' }))
    // @ts-expect-error pfeiffer takes no attention
    pipe(frozen, bottleneck({ placement: 'pfeiffer', at: '**.mha' }))
    // @ts-expect-error no such name
    pipe(frozen, bottleneck({ placement: 'houlsby', at: '**.mhla' }))
    // @ts-expect-error twice at one place
    pipe(frozen, bottleneck({ placement: 'pfeiffer' }), bottleneck({ placement: 'pfeiffer' }))
    // @ts-expect-error no such placement
    bottleneck({ placement: 'housby' })
  })
  test('of run-time strings the type says no more than is known', () => {
    const maybe = bottleneck({ placement: 'pfeiffer', at: strings })(frozen)
    type Bare = BlockOf<typeof frozen>['mlp']
    holds<Equal<BlockOf<typeof maybe>['mlp'], Bare | Adapted<Bare>>>()
    const some = bottleneck({ placement })(frozen)
    expectTypeOf<BlockOf<typeof some>['mlp']['_tag']>().toEqualTypeOf<'Adapted' | 'Mlp'>()
    expectTypeOf<BlockOf<typeof some>['mha']['_tag']>().toEqualTypeOf<'Adapted' | 'Attention'>()
    const named = pipe(frozen, bottleneck({ placement, at: '**.mlp' }))
    holds<Equal<BlockOf<typeof named>['mlp'], Bare | Adapted<Bare>>>()
    expectTypeOf(detach(some)).toEqualTypeOf(frozen)
    expectTypeOf(detach(maybe)).toEqualTypeOf(frozen)
    expectTypeOf(bottleneck.either({ placement: 'pfeiffer', at: '**.mlp' })(frozen)).toExtend<
      Either<readonly Issue[], unknown>
    >()
  })
})

describe('layers that are named', () => {
  const Net = define('Net', { fc1: linear('in', 'hidden'), fc2: linear('hidden', 'out') }, (n, x, ctx) =>
    layer(n.fc2, layer(n.fc1, x, ctx), ctx),
  )
  const net = Net.init({ in: 4, hidden: 8, out: 2 }, { _tag: 'Key', hi: 0, lo: 0 })
  test('of any model', () => {
    const tuned = pipe(net, freeze, bottleneck.at({ at: '**.fc1', mode: 'parallel' }))
    expectTypeOf(tuned.fc1).toEqualTypeOf<Adapted<Linear<Matrix<'frozen'>, Vector<'frozen'>>>>()
    expectTypeOf(tuned.fc2).toEqualTypeOf<Linear<Matrix<'frozen'>, Vector<'frozen'>>>()
    expectTypeOf(Net.apply).toBeCallableWith(tuned, {} as never)
    expectTypeOf(detach(tuned)).toEqualTypeOf(freeze(net))
    expectTypeOf(get(tuned, 'fc1.weight')).toEqualTypeOf<Matrix<'frozen'>>()
    // @ts-expect-error a bias is no layer
    pipe(net, bottleneck.at({ at: 'fc1.bias' }))
    // @ts-expect-error an adapter is none
    pipe(net, bottleneck.at({ at: 'fc1' }), bottleneck.at({ at: 'fc1' }))
  })
})

describe('with LoRA', () => {
  const after = pipe(frozen, bottleneck({ placement: 'pfeiffer' }), lora({ at: '**', rank: 2 }))
  const before = pipe(frozen, lora({ at: '**', rank: 2 }), bottleneck({ placement: 'pfeiffer' }))
  test('which keeps out of the adapter', () => {
    expectTypeOf(after).toEqualTypeOf(before)
    expectTypeOf<BlockOf<typeof after>['mlp']['base']['ln_1']['weight']>().toEqualTypeOf<Lora<Matrix<'frozen'>>>()
    expectTypeOf<BlockOf<typeof after>['mlp']['adapter']>().toEqualTypeOf<Bottleneck>()
    // @ts-expect-error nor can it be pointed there
    pipe(frozen, bottleneck({ placement: 'pfeiffer' }), lora({ at: '**.adapter.down', rank: 2 }))
  })
  test('merge takes LoRA only, detach both', () => {
    expectTypeOf(merge(after)).toEqualTypeOf(pipe(frozen, bottleneck({ placement: 'pfeiffer' })))
    expectTypeOf(detach(after)).toEqualTypeOf(frozen)
  })
})

describe('compositions', () => {
  const two = pipe(frozen, bottleneck({ placement: 'pfeiffer' }), bottleneck.join({ as: 'stack', name: 'b' }))
  test('of those that join', () => {
    expectTypeOf<BlockOf<typeof two>['mlp']['adapter']['_tag']>().toEqualTypeOf<
      'AdapterStack' | 'AdapterAverage' | 'AdapterParallel' | 'AdapterFusion'
    >()
    expectTypeOf<BlockOf<typeof two>['mlp']['adapter']['base']>().toEqualTypeOf<Bottleneck>()
    expectTypeOf(detach(two)).toEqualTypeOf(frozen)
    expectTypeOf(merge(two)).toEqualTypeOf(two)
    // @ts-expect-error nothing is there to be joined
    pipe(frozen, bottleneck.join({ as: 'stack', name: 'b' }))
  })
  test('by hand', () => {
    const [a, b] = [{} as Bottleneck<'frozen'>, {} as Bottleneck]
    expectTypeOf(bottleneck.stack(a, b)).toEqualTypeOf<AdapterStack<Bottleneck<'frozen'> | Bottleneck>>()
    expectTypeOf(bottleneck.stack(bottleneck.stack(a, b), b)).toEqualTypeOf(bottleneck.stack(a, b))
    expectTypeOf(bottleneck.average([a, b]).base).toEqualTypeOf<Bottleneck<'frozen'>>()
    // @ts-expect-error of nothing
    bottleneck.stack()
  })
})

describe('recipes', () => {
  const tuned = applyRecipe([{ bottleneck: { placement: 'pfeiffer' } }])(base)
  test('may wrap attention and MLP; detach is clean, apply takes it', () => {
    expectTypeOf<BlockOf<typeof tuned>['mlp']['_tag']>().toEqualTypeOf<'Mlp' | 'Adapted'>()
    expectTypeOf<
      ReturnType<typeof detach<typeof tuned>>['transformer_blocks'][number]['mlp']['_tag']
    >().toEqualTypeOf<'Mlp'>()
    expectTypeOf(sllm.apply).toBeCallableWith(tuned, {} as never)
    expectTypeOf<(typeof tuned)['out_head']['_tag']>().toEqualTypeOf<'Linear'>()
  })
})

describe('bitfit and norms', () => {
  test('say what is trained', () => {
    const b = pipe(frozen, bitfit())
    expectTypeOf(b.out_head.bias).toEqualTypeOf<Vector<'trainable'> | null>()
    expectTypeOf(b.out_head.weight).toEqualTypeOf<Matrix<'frozen'>>()
    expectTypeOf(b.final_norm.scale).toEqualTypeOf<Vector<'frozen'>>()
    expectTypeOf(b.final_norm.shift).toEqualTypeOf<Vector<'trainable'> | null>()
    const n = pipe(frozen, norms({ at: 'final_norm' }))
    expectTypeOf(n.final_norm.scale).toEqualTypeOf<Vector<'trainable'>>()
    expectTypeOf<BlockOf<typeof n>['ln1']['scale']>().toEqualTypeOf<Vector<'frozen'>>()
    expectTypeOf(n.out_head).toEqualTypeOf(frozen.out_head)
    // @ts-expect-error a linear layer is no norm, whatever its name
    pipe(frozen, norms({ at: '**.ln_1' }))
    // @ts-expect-error a table has no bias
    pipe(frozen, bitfit({ at: 'embedding_block' }))
  })
})
