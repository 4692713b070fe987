import { statSync } from 'node:fs'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { expect, test } from 'vitest'
import {
  adamw,
  bytesAtRest,
  count,
  freeze,
  key,
  lora,
  pipe,
  quantize,
  show,
  sllm,
  start,
  step,
} from '../../src/index.ts'
import type { Sllm } from '../../src/index.ts'
import { loadAdapter, loadModel, orThrow, readAdapter, saveAdapter, saveModel } from '../../src/io/index.ts'
import { mean, read, square, tensor } from '../../src/ops/index.ts'
import { inFolder, same } from './trees.ts'

const config = { ...sllm.config.seed, d_model: 8, d_head: 4, context_window: 9, vocab_size: 20 }
const ids = (): ReturnType<typeof tensor> => tensor([[1, 2, 3]], undefined, 'int32')

const small = (m: Sllm) => pipe(m, freeze, quantize({ at: '**', doubleQuant: true }))
const qlora = (m: ReturnType<typeof small>) => lora({ at: '**.mlp', rank: 2, alpha: 3 })(m)

const trained = (model: ReturnType<typeof qlora>) => {
  const optimiser = adamw({ rate: 0.01 })
  const loss = (m: typeof model, x: ReturnType<typeof ids>) => mean(square(sllm.apply(m, x)))
  const advance = step(optimiser, loss)
  return advance(advance(start(model, optimiser, { key: key(1) }), ids()), ids()).model
}

test('training leaves the codes the same tensors, and an adapter carries none of them', () =>
  inFolder(async (folder, hold) => {
    const base = hold(small(hold(sllm.init(config, key(0)))))
    const tuned = hold(trained(hold(qlora(base))))
    const head = tuned.transformer_blocks[0]!.mlp.ln_1.weight
    expect(head.base).toBe(base.transformer_blocks[0]!.mlp.ln_1.weight)
    expect(read(head.b.value).every((x) => x !== 0)).toBe(true)
    await orThrow(saveAdapter(tuned, folder))
    const { carries } = await orThrow(readAdapter(folder))
    expect(carries.every((label) => /\.[ab]$/.test(label))).toBe(true)
    expect(statSync(join(folder, 'adapter.safetensors')).size).toBeLessThan(
      4 * count(tuned).trainable + 200 * carries.length,
    )
    const again = hold(await orThrow(loadAdapter(hold(small(hold(sllm.init(config, key(0))))), folder, qlora)))
    expect(read(hold(sllm.apply(again, ids())))).toEqual(read(hold(sllm.apply(tuned, ids()))))
  }))

test('an adapter that was made on codes is refused by the dense base, which is told what to do', () =>
  inFolder(async (folder, hold) => {
    const base = hold(sllm.init(config, key(0)))
    await orThrow(saveAdapter(hold(qlora(hold(small(base)))), folder))
    const result = await loadAdapter(base, folder)()
    const issues = E.isLeft(result) ? result.left : []
    const at = 'transformer_blocks.0.mlp.ln_1.weight'
    expect(issues.filter(({ path }) => path.startsWith(at)).map((i) => `${i._tag} ${i.path}`)).toEqual([
      `MissingTensor ${at}.codes`,
      `MissingTensor ${at}.absmax`,
      `MissingTensor ${at}.nestedAbsmax`,
      `MissingTensor ${at}.offset`,
      `ExtraTensor ${at}`,
    ])
    expect(issues.every(({ hint }) => hint.includes('apply the same `quantize`'))).toBe(true)
    // Other codes are another base.
    const other = hold(small(hold(sllm.init(config, key(1)))))
    const wrong = await loadAdapter(other, folder, qlora)()
    expect(E.isLeft(wrong) && wrong.left.map((i) => i._tag)).toContain('WrongBase')
  }))

test('a checkpoint holds the codes as they are', () =>
  inFolder(async (folder, hold) => {
    const tuned = hold(qlora(hold(small(hold(sllm.init(config, key(0)))))))
    await orThrow(saveModel(tuned, folder))
    const again = hold(await orThrow(loadModel(folder, tuned)))
    expect(same(again, tuned)).toBe(true)
    expect(count(again)).toEqual(count(tuned))
    expect(bytesAtRest(again)).toBe(bytesAtRest(tuned))
  }))

test('show names the codes, and counts what they stand for', () => {
  const lines = show(qlora(small(sllm.init(config, key(0))))).split('\n')
  const at = lines.findIndex((line) => line.includes('Nf4Double'))
  const plain = (line: string): string => line.replace(/^[│├└─ ]+/, '').replaceAll(/ {2,}/g, '  ')
  expect(lines.slice(at - 1, at + 5).map(plain)).toEqual([
    'Wq  Linear  frozen  64',
    'weight  Nf4Double form=matrix rows=8 columns=8  frozen  64',
    'codes  8 int32  constant  8',
    'absmax  1 int32  constant  1',
    'nestedAbsmax  1 float32  constant  1',
    'offset  scalar float32  constant  1',
  ])
})
