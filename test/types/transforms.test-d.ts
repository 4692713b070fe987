import { describe, expectTypeOf, test } from 'vitest'
import type { Either } from 'fp-ts/lib/Either.js'
import {
  define,
  detach,
  flow,
  freeze,
  get,
  layer,
  linear,
  lora,
  merge,
  pipe,
  prompt,
  unfreeze,
} from '../../src/index.ts'
import type {
  Embedding,
  Issue,
  Linear,
  Lora,
  Matrix,
  Maybe,
  Param,
  Prompted,
  Sllm,
  Table,
  Vector,
} from '../../src/index.ts'
import { relu } from '../../src/ops/index.ts'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <T extends true>(): T => true as T

declare const base: Sllm
declare const other: {
  readonly encoder: Linear<Matrix<'trainable'>, null>
  readonly ln_1: Linear<Matrix<'trainable'>, Vector<'trainable'>>
}
declare const strings: readonly string[]

const frozen = freeze(base)
const tuned = pipe(base, freeze, lora({ at: ['**.ln_1', '**.c_proj'], rank: 16, alpha: 30 }))
type Tuned = typeof tuned
type FirstBlock<M extends { readonly transformer_blocks: readonly unknown[] }> = M['transformer_blocks'][number]

describe('what a transform does, the type says', () => {
  test('freeze', () => {
    expectTypeOf(frozen.out_head.weight).toEqualTypeOf<Matrix<'frozen'>>()
    expectTypeOf(frozen.embedding_block.token_embdgs.weight).toEqualTypeOf<Table<'frozen'>>()
    expectTypeOf(unfreeze(frozen).out_head.weight).toEqualTypeOf<Matrix<'trainable'>>()
    expectTypeOf(freeze(frozen)).toEqualTypeOf(frozen)
    holds<Equal<ReturnType<typeof freeze<typeof frozen>>, typeof frozen>>()
  })

  test('freeze.only and unfreeze.only touch what they name', () => {
    const part = pipe(base, freeze.only({ at: 'transformer_blocks' }))
    expectTypeOf(part.transformer_blocks[0]!.mlp.ln_1.weight).toEqualTypeOf<Matrix<'frozen'>>()
    expectTypeOf(part.out_head.weight).toEqualTypeOf<Matrix<'trainable'>>()
    const head = pipe(base, freeze, unfreeze.only({ at: 'out_head' }))
    expectTypeOf(head.out_head.weight).toEqualTypeOf<Matrix<'trainable'>>()
    expectTypeOf(head.final_norm.scale).toEqualTypeOf<Vector<'frozen'>>()
  })

  test('lora names the weights it takes and no other', () => {
    expectTypeOf<FirstBlock<Tuned>['mlp']['ln_1']['weight']>().toEqualTypeOf<Lora<Matrix<'frozen'>>>()
    expectTypeOf<FirstBlock<Tuned>['mha']['Wq']['weight']>().toEqualTypeOf<Matrix<'frozen'>>()
    expectTypeOf(tuned.out_head.weight).toEqualTypeOf<Matrix<'frozen'>>()
  })

  test('all linear layers, but neither embeddings nor norms', () => {
    const all = pipe(base, lora({ at: '**', rank: 4 }))
    expectTypeOf(all.out_head.weight).toEqualTypeOf<Lora<Matrix<'trainable'>>>()
    expectTypeOf(all.embedding_block.token_embdgs.weight).toEqualTypeOf<Table<'trainable'>>()
    expectTypeOf(all.final_norm.scale).toEqualTypeOf<Vector<'trainable'>>()
  })

  test('one block of an array may be adapted, says the type', () => {
    const one = pipe(base, lora({ at: 'transformer_blocks.{0..0}.mlp', rank: 4 }))
    expectTypeOf<FirstBlock<typeof one>['mlp']['ln_1']['weight']>().toEqualTypeOf<
      Matrix<'trainable'> | Lora<Matrix<'trainable'>>
    >()
  })

  test('prompt wraps the token embedding only', () => {
    const prompted = pipe(base, freeze, prompt({ length: 14 }))
    expectTypeOf(prompted.embedding_block.token_embdgs).toEqualTypeOf<Prompted<Embedding<Table<'frozen'>>>>()
    expectTypeOf(prompted.out_head.weight).toEqualTypeOf<Matrix<'frozen'>>()
  })
})

describe('theorems', () => {
  test('merge ∘ lora gives the frozen type back', () => {
    holds<Equal<ReturnType<typeof merge<Tuned>>, typeof frozen>>()
    expectTypeOf(merge(tuned)).toEqualTypeOf(frozen)
  })
  test('detach ∘ lora ∘ prompt gives the frozen type back', () => {
    const both = pipe(base, freeze, lora({ at: '**.ln_1', rank: 2 }), prompt({ length: 3 }))
    holds<Equal<ReturnType<typeof detach<typeof both>>, typeof frozen>>()
    expectTypeOf(detach(both)).toEqualTypeOf(frozen)
  })
  test('merge leaves a prompt alone', () => {
    const both = pipe(base, freeze, lora({ at: '**.ln_1', rank: 2 }), prompt({ length: 3 }))
    const prompted = pipe(base, freeze, prompt({ length: 3 }))
    expectTypeOf(merge(both)).toEqualTypeOf(prompted)
  })
  test('lora twice on different places composes', () => {
    const two = pipe(base, freeze, lora({ at: '**.ln_1', rank: 2 }), lora({ at: '**.c_proj', rank: 2 }))
    holds<Equal<ReturnType<typeof merge<typeof two>>, typeof frozen>>()
    expectTypeOf(merge(two)).toEqualTypeOf(frozen)
  })
})

describe('mistakes are compile errors', () => {
  test('a wrong glob, with did you mean', () => {
    // @ts-expect-error "**.c_porj" hits nothing here that lora takes; did you mean "**.c_proj"?
    pipe(base, freeze, lora({ at: '**.c_porj', rank: 2 }))
    // @ts-expect-error one wrong pattern in a list
    pipe(base, freeze, lora({ at: ['**.ln_1', '**.c_porj'], rank: 2 }))
    // @ts-expect-error a layer norm has no matrix
    pipe(base, lora({ at: '**.ln1', rank: 2 }))
    // @ts-expect-error an adapted weight is no target
    pipe(base, lora({ at: '**.ln_1', rank: 2 }), lora({ at: '**.ln_1', rank: 2 }))
    // @ts-expect-error a prompt wants an embedding
    pipe(base, prompt({ at: '**.ln_1', length: 2 }))
  })
  test('a wrong path', () => {
    // @ts-expect-error no such path
    get(base, 'out_haed.weight')
    expectTypeOf(get(base, 'transformer_blocks.0.mlp.ln_1.weight')).toEqualTypeOf<Matrix<'trainable'>>()
  })
})

describe('steps are values', () => {
  const step = lora({ at: '**.ln_1', rank: 8 })
  test('one step on two models', () => {
    expectTypeOf(step(base).transformer_blocks[0]!.mlp.ln_1.weight).toEqualTypeOf<Lora<Matrix<'trainable'>>>()
    expectTypeOf(step(other).ln_1.weight).toEqualTypeOf<Lora<Matrix<'trainable'>>>()
    expectTypeOf(step(other).encoder.weight).toEqualTypeOf<Matrix<'trainable'>>()
    expectTypeOf(pipe(base, step).out_head.weight).toEqualTypeOf<Matrix<'trainable'>>()
    // @ts-expect-error this model has no ln_1
    step({ only: other.encoder })
  })
  test('chosen at run time, of the same type', () => {
    const choose = (mlp: boolean) => (mlp ? lora({ at: '**.ln_1', rank: 8 }) : step)
    expectTypeOf(choose(true)(base).transformer_blocks[0]!.mlp.ln_1.weight).toEqualTypeOf<Lora<Matrix<'trainable'>>>()
  })
  test('in a helper generic in the model', () => {
    const tune = <M>(model: M) => pipe(model, freeze, lora.unchecked({ at: '**.ln_1', rank: 8 }))
    expectTypeOf(tune(base).transformer_blocks[0]!.mlp.ln_1.weight).toEqualTypeOf<Lora<Matrix<'frozen'>>>()
    expectTypeOf(tune(other).ln_1.weight).toEqualTypeOf<Lora<Matrix<'frozen'>>>()
  })
  test('run-time strings are typed honestly', () => {
    const maybe = lora({ at: strings, rank: 8 })(frozen)
    holds<Equal<typeof maybe, Maybe<typeof frozen, 'lora'>>>()
    expectTypeOf(maybe.out_head.weight).toEqualTypeOf<Matrix<'frozen'> | Lora<Matrix<'frozen'>>>()
    expectTypeOf(merge(maybe)).toEqualTypeOf(frozen)
    expectTypeOf(detach(maybe)).toEqualTypeOf(frozen)
    expectTypeOf(pipe(frozen, lora({ at: { glob: '**', kind: 'Linear' }, rank: 8 })).out_head.weight).toEqualTypeOf<
      Matrix<'frozen'> | Lora<Matrix<'frozen'>>
    >()
  })
  test('either gives mistakes as values', () => {
    const result = pipe(frozen, lora.either({ at: '**.ln_1', rank: 8 }))
    expectTypeOf(result).toMatchTypeOf<Either<readonly Issue[], unknown>>()
  })
  test('flow', () => {
    const recipe = flow(freeze<Sllm>, lora({ at: '**.ln_1', rank: 8 }))
    expectTypeOf(recipe(base).transformer_blocks[0]!.mlp.ln_1.weight).toEqualTypeOf<Lora<Matrix<'frozen'>>>()
  })
})

describe('a model of their own', () => {
  const Net = define('Net', { fc1: linear('in', 'hidden'), fc2: linear('hidden', 'out') }, (n, x, ctx) =>
    layer(n.fc2, relu(layer(n.fc1, x, ctx)), ctx),
  )
  test('dimensions have names', () => {
    expectTypeOf(Net.init).parameter(0).toEqualTypeOf<Readonly<Record<'in' | 'hidden' | 'out', number>>>()
  })
  test('paths complete and a wrong one is refused', () => {
    const net = Net.init({ in: 4, hidden: 8, out: 2 }, { _tag: 'Key', hi: 0, lo: 0 })
    const tunedNet = pipe(net, freeze, lora({ at: '**.fc1', rank: 2 }))
    expectTypeOf(tunedNet.fc1.weight).toEqualTypeOf<Lora<Matrix<'frozen'>>>()
    expectTypeOf(tunedNet.fc2.weight).toEqualTypeOf<Matrix<'frozen'>>()
    expectTypeOf(net.fc1.bias).toEqualTypeOf<Param<'trainable', 'vector'>>()
    expectTypeOf(Net.apply).toBeCallableWith(tunedNet, {} as never)
    // @ts-expect-error no fc3
    pipe(net, freeze, lora({ at: '**.fc3', rank: 2 }))
  })
})
