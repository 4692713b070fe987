import { expectTypeOf, test } from 'vitest'
import { detach, freeze, get, key, lora, merge, pipe, sllm } from '../../src/index.ts'
import type { Matrix, Packed, Param, Sllm } from '../../src/index.ts'
import { loadAdapter, loadModel, orThrow } from '../../src/io/index.ts'

const base = sllm.init(sllm.config.seed, key(0))
const adapt = (m: Sllm) => pipe(m, freeze, lora({ at: '**.ln_1', rank: 2 }))

test('with its transform an adapter gives the type of the transform', async () => {
  const tuned = await orThrow(loadAdapter(base, 'folder', adapt))
  expectTypeOf(tuned).toEqualTypeOf<ReturnType<typeof adapt>>()
  expectTypeOf(merge(tuned).final_norm.scale).toEqualTypeOf<Param<'frozen', 'vector'>>()
})

test('without it everything may be adapted, runs, and merges to something clean', async () => {
  const tuned = await orThrow(loadAdapter(base, 'folder'))
  expectTypeOf(get(tuned, 'transformer_blocks.0.mlp.ln_1.weight')._tag).toEqualTypeOf<string>()
  // @ts-expect-error the model as a whole may have a prefix
  expectTypeOf(tuned.transformer_blocks)
  expectTypeOf<typeof tuned>().toExtend<Parameters<typeof sllm.apply>[0]>()
  expectTypeOf(get(merge(tuned), 'transformer_blocks.0.mlp.ln_1.weight')).toExtend<Matrix | Packed<'matrix'>>()
  expectTypeOf(detach(tuned).transformer_blocks[0]!.mlp.ln_1.weight).toExtend<Matrix | Packed<'matrix'>>()
})

test('a model has a type only when it was checked against one', async () => {
  expectTypeOf(await orThrow(loadModel('folder'))).toEqualTypeOf<unknown>()
  expectTypeOf(await orThrow(loadModel('folder', base))).toEqualTypeOf<Sllm>()
})
