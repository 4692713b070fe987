import { statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { count, fourierft, freeze, ia3, key, loha, lokr, nest, pipe, sllm, tokens, vera } from '../../src/index.ts'
import type { Sllm } from '../../src/index.ts'
import { loadAdapter, orThrow, readSafetensors, saveAdapter } from '../../src/io/index.ts'
import { perturbed } from '../../src/laws/index.ts'
import { read, tensor } from '../../src/ops/index.ts'
import { inFolder, same } from './trees.ts'

const config = { ...sllm.config.seed, d_model: 8, d_head: 4, context_window: 9, vocab_size: 20 }
const ids = (): ReturnType<typeof tensor> => tensor([[1, 2, 3]], undefined, 'int32')

const all = (m: Sllm) =>
  pipe(
    m,
    freeze,
    loha({ at: '**.Wq', rank: 2, alpha: 3, scaling: 'alpha/rank' }),
    lokr({ at: '**.Wk', rank: 1, decomposeBoth: true }),
    vera({ at: ['**.Wv', '**.c_proj'], rank: 3 }),
    ia3({ at: '**.ln_1' }),
    fourierft({ at: 'out_head', frequencies: 5 }),
    tokens({ ids: [7, 2] }),
  )

test('an adapter of all of them comes back bit for bit, with no transform named', () =>
  inFolder(async (folder, hold) => {
    const base = hold(sllm.init(config, key(0)))
    const tuned = hold(perturbed(all(base), key(1), { only: (leaf) => leaf.status === 'trainable' }))
    await orThrow(saveAdapter(tuned, folder))
    const again = hold(await orThrow(loadAdapter(base, folder))) as typeof tuned
    expect(same(again, tuned)).toBe(true)
    expect(read(hold(sllm.apply(again, ids())))).toEqual(read(hold(sllm.apply(tuned, ids()))))
    const [first, second] = again.transformer_blocks
    expect(first!.mha.Wv.weight.projectionA).toBe(second!.mlp.c_proj.weight.projectionA)
  }))

test('the projections of VeRA are in the file once, whatever the number of weights', () =>
  inFolder(async (folder, hold) => {
    const base = hold(sllm.init({ ...config, n_layers: 4 }, key(0)))
    const tuned = hold(vera({ at: '**.mha', rank: 6 })(freeze(nest('one', base))))
    await orThrow(saveAdapter(tuned, folder))
    const { tensors } = await orThrow(readSafetensors(join(folder, 'adapter.safetensors')))
    const names = [...tensors.keys()]
    expect(names.filter((n) => n.includes('vera'))).toHaveLength(2)
    // Four of each 6-row vector and of the outputs, and 8×6 and 6×8 for all.
    const carried = [...tensors.values()].reduce((n, t) => n + t.data.length, 0)
    expect(carried).toBe(count(tuned).trainable + 2 * projectionSize(tuned))
    expect(statSync(join(folder, 'adapter.safetensors')).size).toBeLessThan(4 * carried + 64 * names.length + 4096)
  }))

const projectionSize = (model: unknown): number => {
  const { transformer_blocks } = model as {
    transformer_blocks: { mha: { Wq: { weight: { projectionA: { value: { size: number } } } } } }[]
  }
  return transformer_blocks[0]!.mha.Wq.weight.projectionA.value.size
}
