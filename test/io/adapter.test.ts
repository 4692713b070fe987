import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import {
  bake,
  count,
  freeze,
  key,
  lora,
  merge,
  param,
  pipe,
  prefix,
  prompt,
  ptuning,
  sllm,
  unfreeze,
} from '../../src/index.ts'
import type { Sllm } from '../../src/index.ts'
import {
  loadAdapter,
  orThrow,
  readAdapter,
  readSafetensors,
  saveAdapter,
  writeSafetensors,
} from '../../src/io/index.ts'
import type { Issues } from '../../src/io/index.ts'
import { memory, read, tensor, zeros } from '../../src/ops/index.ts'
import { inFolder, same } from './trees.ts'

const config = { ...sllm.config.seed, d_model: 8, d_head: 4, context_window: 9, vocab_size: 20 }
const ids = (): ReturnType<typeof tensor> => tensor([[1, 2, 3]], undefined, 'int32')

const adapt = (m: Sllm) =>
  pipe(m, freeze, lora({ at: ['**.ln_1', '**.c_proj'], rank: 2, alpha: 3 }), prompt({ length: 2 }))
const withHead = (m: Sllm) => pipe(m, adapt, unfreeze.only({ at: 'out_head' }))

const told = async (task: () => Promise<E.Either<Issues, unknown>>): Promise<readonly string[]> => {
  const result = await task()
  return E.isLeft(result) ? result.left.map((i) => `${i._tag} ${i.path}`) : []
}

describe('an adapter of a real model', () => {
  test('holds what was added and the head, and gives the same logits on the base', () =>
    inFolder(async (folder, hold) => {
      const base = hold(sllm.init(config, key(0)))
      const tuned = hold(withHead(base))
      await orThrow(saveAdapter(tuned, folder, { recipe: [{ freeze: {} }, { lora: { at: ['**.ln_1'], rank: 2 } }] }))
      const { tensors } = await orThrow(readSafetensors(join(folder, 'adapter.safetensors')))
      const carried = [...tensors.values()].reduce((n, t) => n + t.data.length, 0)
      expect(carried).toBe(count(tuned).trainable)
      const again = hold(await orThrow(loadAdapter(base, folder, withHead)))
      expect(same(again, tuned)).toBe(true)
      expect(again.final_norm.scale.value).toBe(base.final_norm.scale.value)
      expect(read(hold(sllm.apply(again, ids())))).toEqual(read(hold(sllm.apply(tuned, ids()))))
      expect(count(merge(again)).trainable).toBe(count(merge(tuned)).trainable)
    }))

  test('is told from the base, from another transform, and from another base', () =>
    inFolder(async (folder, hold) => {
      const base = hold(sllm.init(config, key(0)))
      await orThrow(saveAdapter(hold(withHead(base)), folder))
      const before = memory().tensors
      expect(await told(loadAdapter(base, folder, adapt))).toEqual([
        'LeafMismatch out_head.weight',
        'LeafMismatch out_head.bias',
      ])
      const smaller = (m: Sllm) =>
        pipe(
          m,
          freeze,
          lora({ at: ['**.ln_1', '**.c_proj'], rank: 1, alpha: 3 }),
          prompt({ length: 2 }),
          unfreeze.only({ at: 'out_head' }),
        )
      expect((await told(loadAdapter(base, folder, smaller))).every((line) => line.startsWith('ShapeMismatch'))).toBe(
        true,
      )
      expect((await told(loadAdapter(base, folder, smaller))).length).toBe(8)
      expect(memory().tensors).toBe(before)
      const deeper = hold(sllm.init({ ...config, n_layers: 3 }, key(0)))
      expect(
        (await told(loadAdapter(deeper, folder))).every((line) => line.startsWith('ExtraTensor transformer_blocks.2.')),
      ).toBe(true)
      const shallow = hold(sllm.init({ ...config, n_layers: 1 }, key(0)))
      expect(
        (await told(loadAdapter(shallow, folder))).every((line) =>
          line.startsWith('MissingTensor transformer_blocks.1.'),
        ),
      ).toBe(true)
      const other = hold(sllm.init(config, key(1)))
      // The head is carried, norms of a fresh model are all ones, the prompt and the adapters are the adapter's own.
      expect(await told(loadAdapter(other, folder))).toEqual(
        expect.arrayContaining([
          'WrongBase embedding_block.token_embdgs.weight',
          'WrongBase transformer_blocks.1.mlp.c_proj.weight',
        ]),
      )
      expect((await told(loadAdapter(other, folder))).some((line) => line.includes('out_head'))).toBe(false)
      expect(await told(loadAdapter(hold({ ...base, out_head: other.out_head }), folder))).toEqual([])
    }))

  test('without a transform it still runs and merges', () =>
    inFolder(async (folder, hold) => {
      const base = hold(sllm.init(config, key(0)))
      const tuned = hold(adapt(base))
      await orThrow(saveAdapter(tuned, folder))
      const again = hold(await orThrow(loadAdapter(base, folder)))
      expect(read(hold(sllm.apply(again, ids())))).toEqual(read(hold(sllm.apply(tuned, ids()))))
    }))
})

describe('a prefix, and rows with an encoder', () => {
  test('come back as they were trained, encoder and all, and as they were baked', () =>
    inFolder(async (folder, hold) => {
      const base = hold(freeze(sllm.init(config, key(0))))
      const make = (m: typeof base) =>
        pipe(m, ptuning({ length: 2, hidden: 3, encoder: 'lstm' }), prefix({ length: 2, projection: 3 }))
      const tuned = hold(make(base))
      await orThrow(saveAdapter(tuned, join(folder, 'whole')))
      const again = hold(await orThrow(loadAdapter(base, join(folder, 'whole'))))
      expect(same(again, tuned)).toBe(true)
      expect(count(again).trainable).toBe(count(tuned).trainable)
      expect(read(hold(sllm.apply(again, ids())))).toEqual(read(hold(sllm.apply(tuned, ids()))))
      expect(same(hold(await orThrow(loadAdapter(base, join(folder, 'whole'), make))), tuned)).toBe(true)
      await orThrow(saveAdapter(hold(bake(tuned)), join(folder, 'baked')))
      const baked = hold(await orThrow(loadAdapter(base, join(folder, 'baked'))))
      expect(read(hold(sllm.apply(baked, ids())))).toEqual(read(hold(sllm.apply(tuned, ids()))))
      const { carries } = await orThrow(readAdapter(join(folder, 'baked')))
      expect(carries.toSorted()).toEqual(['embedding_block.token_embdgs.prompt', 'prefix'])
    }))
})

describe('an adapter of a tree by hand', () => {
  const base = () => ({
    _tag: 'Net',
    fc1: {
      _tag: 'Linear',
      weight: { ...param('matrix', 'fc1.weight', tensor([[1, 2]])), status: 'frozen' as const },
      bias: null,
    },
    fc2: {
      _tag: 'Linear',
      weight: { ...param('matrix', 'fc2.weight', tensor([[3], [4]])), status: 'frozen' as const },
      bias: null,
    },
  })
  const adapted = (b: ReturnType<typeof base>) => ({
    ...b,
    fc1: {
      ...b.fc1,
      weight: {
        _tag: 'Lora',
        base: b.fc1.weight,
        a: param('matrix', 'fc1.weight.a', tensor([[5]])),
        b: param('matrix', 'fc1.weight.b', tensor([[6, 7]])),
        alpha: 2,
      },
    },
  })

  test('leaves what it does not touch the same object', () =>
    inFolder(async (folder, hold) => {
      const b = hold(base())
      const tuned = hold(adapted(b))
      await orThrow(saveAdapter(tuned, folder))
      const again = hold(await orThrow(loadAdapter(b, folder, adapted)))
      expect(again.fc2).toBe(b.fc2)
      expect(again.fc1.weight.base).toBe(b.fc1.weight)
      expect(again).toEqual(expect.objectContaining({ _tag: 'Net' }))
      expect(statSync(join(folder, 'adapter.safetensors')).size).toBeLessThan(8 + 12 + 2 * 100)
    }))

  test('nothing added is an error', () =>
    inFolder(async (folder, hold) => {
      expect(await told(saveAdapter(hold(base()), folder))).toEqual(['NothingToSave '])
    }))

  test('missing, extra and misshapen tensors come together with what is wrong with the base', () =>
    inFolder(async (folder, hold) => {
      const b = hold(base())
      await orThrow(saveAdapter(hold(adapted(b)), folder))
      const path = join(folder, 'adapter.safetensors')
      const two = { dtype: 'F32', shape: [2], data: new Float32Array(2) } as const
      await orThrow(writeSafetensors(path, { 'fc1.weight.a': two, other: two }))
      const wrong = { ...b, fc2: { ...b.fc2, weight: { ...b.fc2.weight, value: hold(zeros([2, 1])) } } }
      expect(await told(loadAdapter(wrong, folder))).toEqual([
        'WrongBase fc2.weight',
        `ShapeMismatch ${path}#fc1.weight.a`,
        `MissingTensor ${path}#fc1.weight.b`,
        `ExtraTensor ${path}#other`,
      ])
    }))

  test('what wraps the whole model comes back with the transform and without it', () =>
    inFolder(async (folder, hold) => {
      const b = hold(base())
      const prefixed = (m: typeof b) => ({ _tag: 'Prefixed', base: m, rows: param('table', 'rows', zeros([1])) })
      await orThrow(saveAdapter(hold(prefixed(b)), folder))
      expect(hold(await orThrow(loadAdapter(b, folder)))).toEqual(
        expect.objectContaining({ _tag: 'Prefixed', base: b }),
      )
      expect(hold(await orThrow(loadAdapter(b, folder, prefixed))).base).toBe(b)
    }))

  test('a recipe is plain data, kept as it is', () =>
    inFolder(async (folder, hold) => {
      const tuned = hold(adapted(hold(base())))
      const result = await told(
        saveAdapter(tuned, folder, { recipe: { at: () => 1, n: [Number.NaN], t: tuned.fc2.weight.value } }),
      )
      expect(result).toEqual(['BadData recipe.at', 'BadData recipe.n.0'])
      expect(await told(saveAdapter(tuned, folder, { recipe: tuned.fc2.weight.value }))).toEqual(['BadData recipe'])
      await orThrow(saveAdapter(tuned, folder, { recipe: [{ lora: { rank: 1 } }] }))
      const { recipe, fingerprint, carries } = await orThrow(readAdapter(folder))
      expect([recipe, carries]).toEqual([[{ lora: { rank: 1 } }], ['fc1.weight.a', 'fc1.weight.b']])
      expect(fingerprint).toMatch(/^[0-9a-f]{64}$/)
      expect(readFileSync(join(folder, 'adapter.json'), 'utf8')).toContain('"inBase"')
    }))
})
