import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  applyRecipe,
  bitfit,
  bottleneck,
  count,
  define,
  equal,
  freeze,
  isParam,
  key,
  layer,
  leafPlaces,
  leaves,
  linear,
  lora,
  norm,
  norms,
  param,
  pipe,
  sgd,
  sllm,
  start,
  step,
} from '../../src/index.ts'
import type { Sllm } from '../../src/index.ts'
import { loadAdapter, orThrow, readAdapter, saveAdapter } from '../../src/io/index.ts'
import { sum, zeros } from '../../src/ops/index.ts'
import { brief, data, idsOf, messageOf, refused, tensorsLeftBy, tiny, tinySllm } from '../support.ts'

const base = tinySllm()
const biased = sllm.init({ ...tiny, bias: true }, key(0))
const Net = define(
  'Net',
  { fc: linear('in', 'hidden'), norm: norm('hidden'), out: linear('hidden', 'out', { bias: false }) },
  (n, x, ctx) => layer(n.out, layer(n.norm, layer(n.fc, x, ctx), ctx), ctx),
)
const net = Net.init({ in: 2, hidden: 3, out: 2 }, key(0))

const trainableAt = (model: unknown): readonly string[] =>
  leafPlaces(model)
    .filter((p) => isParam(p.node) && p.node.status === 'trainable')
    .map((p) => p.path.join('.'))

describe('counts, by hand', () => {
  const seed = sllm.init(sllm.config.seed, key(0))
  test.each([
    // Two biases of projection_out and that of the head.
    ['bitfit', 2 * 128 + 52_000],
    // Two norms a block and the last one, scales only.
    ['norms', 5 * 128],
  ])('%s', (name, want) => {
    const tuned = applyRecipe([{ freeze: {} }, { [name]: {} }])(seed)
    expect(count(tuned).trainable).toBe(want)
    expect(count(tuned).parameters).toBe(count(seed).parameters)
  })
})

describe('bitfit', () => {
  test('trains each bias and each shift, and adds nothing', () => {
    expect(trainableAt(pipe(net, freeze, bitfit()))).toEqual(['fc.bias', 'norm.shift'])
    const at = trainableAt(pipe(biased, freeze, bitfit({ at: 'transformer_blocks.0' })))
    expect(at).toEqual(
      [
        'ln1.shift',
        'mha.Wq.bias',
        'mha.Wk.bias',
        'mha.Wv.bias',
        'mha.projection_out.bias',
        'ln2.shift',
        'mlp.ln_1.bias',
        'mlp.c_proj.bias',
      ].map((p) => `transformer_blocks.0.${p}`),
    )
    expect(tensorsLeftBy(() => bitfit()(base))).toBe(0)
  })

  test('leaves what is trainable already as it is, and under LoRA finds the bias all the same', () => {
    expect(bitfit()(net)).toBe(net)
    const tuned = pipe(net, freeze, lora({ at: 'fc', rank: 1 }), bitfit())
    expect(trainableAt(tuned)).toEqual(['fc.weight.a', 'fc.weight.b', 'fc.bias', 'norm.shift'])
    const wrapped = pipe(net, freeze, bottleneck.at({ at: 'fc' }), bitfit({ at: 'fc' }))
    expect(trainableAt(wrapped)).toContain('fc.bias')
  })

  test('is refused where there is no bias, and where nothing is', () => {
    expect(messageOf(() => bitfit({ at: 'out' as '**' })(net))).toMatchInlineSnapshot(`
      "NotATarget at out: expected a layer with a bias, found Linear.
        There is "fc", "norm"."
    `)
    const none = { weight: param('matrix', 'w', zeros([1, 1])) }
    expect(messageOf(() => bitfit.unchecked({ at: '**' })(none))).toMatchInlineSnapshot(`
      "NotATarget at the root: expected a layer with a bias, found a container.
        This model does not have a layer with a bias."
    `)
    expect(brief(refused(net, bitfit.unchecked({ at: '**.fd' }) as never))).toEqual(['NoMatch **.fd'])
    // @ts-expect-error no such option
    const typo = (m: typeof net): unknown => bitfit({ ta: 'fc' })(m)
    expect(brief(refused(net, typo))).toEqual(['BadOption bitfit.ta'])
  })
})

describe('norms', () => {
  test('trains scale and shift of each norm, found by what it is and not by its name', () => {
    expect(trainableAt(pipe(net, freeze, norms()))).toEqual(['norm.scale', 'norm.shift'])
    // The chapter calls a linear layer ln_1.
    expect(trainableAt(pipe(base, freeze, norms()))).toEqual([
      'transformer_blocks.0.ln1.scale',
      'transformer_blocks.0.ln2.scale',
      'transformer_blocks.1.ln1.scale',
      'transformer_blocks.1.ln2.scale',
      'final_norm.scale',
    ])
    expect(trainableAt(pipe(base, freeze, norms({ at: 'final_norm' })))).toEqual(['final_norm.scale'])
  })

  test('is refused where there is none', () => {
    expect(messageOf(() => norms({ at: '**.ln_1' as '**' })(base))).toMatchInlineSnapshot(`
      "NotATarget at transformer_blocks.0.mlp.ln_1: expected a norm, found Linear.
        Did you mean "**.ln1", "**.ln2"?"
    `)
  })
})

describe('trained, saved and put back on the base', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'espalier-bitfit-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  const ids = idsOf([[1, 2, 3]])
  test.each([
    ['bitfit', (m: Sllm) => pipe(m, freeze, bitfit())],
    ['norms', (m: Sllm) => pipe(m, freeze, norms())],
  ] as const)('%s', async (name, tune) => {
    const before = tune(base)
    const optimiser = sgd({ rate: 0.1 })
    const advance = step(optimiser, (m: unknown) => sum(sllm.apply(m as never, ids)))
    const after = advance(
      start<unknown, ReturnType<typeof optimiser.init>>(before, optimiser, { key: key(1) }),
      null,
    ).model
    const moved = leaves(after).filter((l) => !leaves(before).includes(l))
    expect(moved.map((l) => l.label)).toEqual(trainableAt(before))
    await orThrow(saveAdapter(after, join(folder, name)))
    const { carries } = await orThrow(readAdapter(join(folder, name)))
    expect(carries.toSorted()).toEqual(trainableAt(before).toSorted())
    const again = await orThrow(loadAdapter(base, join(folder, name), tune as never))
    expect(equal(again, after)).toBe(true)
    expect(data(leaves(again).find((l) => l.label === carries[0])!.value)).not.toEqual(
      data(leaves(base).find((l) => l.label === carries[0])!.value),
    )
  })
})
