import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  count,
  freeze,
  get,
  key,
  leafPlaces,
  leaves,
  lora,
  mapLeaves,
  merge,
  pipe,
  prompt,
  showPath,
  sllm,
} from '../../src/index.ts'
import type { AnySllm, Leaf, Scaling } from '../../src/index.ts'
import { full, item, memory, ones, read, slice, tensor, zeros } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'
import { brief, data, distance, idsOf, issuesOf, loud, messageOf, numbers, tiny, tinySllm } from '../support.ts'

describe('the chapter’s configuration', () => {
  const base = sllm.init(sllm.config.seed, key(0))

  test('has exactly 13,698,976 parameters, part by part', () => {
    expect(count(base)).toEqual({ parameters: 13_698_976, trainable: 13_698_976, frozen: 0 })
    const [block] = base.transformer_blocks
    expect({
      tokens: count(base.embedding_block.token_embdgs).parameters,
      positions: count(base.embedding_block.position_embdgs).parameters,
      block: count(block).parameters,
      ln1: count(block?.ln1).parameters,
      mha: count(block?.mha).parameters,
      ln2: count(block?.ln2).parameters,
      mlp: count(block?.mlp).parameters,
      final_norm: count(base.final_norm).parameters,
      out_head: count(base.out_head).parameters,
    }).toEqual({
      tokens: 52_000 * 128,
      positions: 50 * 128,
      block: 164_224,
      ln1: 128,
      mha: 3 * 128 * 256 + 256 * 128 + 128,
      ln2: 128,
      mlp: 2 * 128 * 128,
      final_norm: 128,
      out_head: 128 * 52_000 + 52_000,
    })
  })

  test('has the chapter’s module names in its paths, and its labels are its paths', () => {
    const block = (n: number): readonly string[] =>
      [
        'ln1.scale [128]',
        'mha.Wq.weight [128,256]',
        'mha.Wk.weight [128,256]',
        'mha.Wv.weight [128,256]',
        'mha.projection_out.weight [256,128]',
        'mha.projection_out.bias [128]',
        'ln2.scale [128]',
        'mlp.ln_1.weight [128,128]',
        'mlp.c_proj.weight [128,128]',
      ].map((name) => `transformer_blocks.${n}.${name}`)
    expect(leafPlaces(base).map((p) => `${showPath(p.path)} [${p.node.value.shape.join()}]`)).toEqual([
      'embedding_block.token_embdgs.weight [52000,128]',
      'embedding_block.position_embdgs.weight [50,128]',
      ...block(0),
      ...block(1),
      'final_norm.scale [128]',
      'out_head.weight [128,52000]',
      'out_head.bias [52000]',
    ])
    expect(leafPlaces(base).every((p) => p.node.label === showPath(p.path))).toBe(true)
  })

  test('LoRA on the mlp leaves 16,384 trainable, a prompt of 14 rows 1,792', () => {
    const frozen = freeze(base)
    const tuned = lora({ at: ['**.ln_1', '**.c_proj'], rank: 16, alpha: 30, key: key(1) })(frozen)
    expect(count(tuned)).toEqual({ parameters: 13_715_360, trainable: 16_384, frozen: 13_698_976 })
    expect(count(prompt({ length: 14 })(frozen)).trainable).toBe(1_792)
  })

  test('runs: logits over the whole vocabulary, and a fresh adapter changes none of them', () => {
    const ids = idsOf([[51_999, 0, 7]])
    const before = data(sllm.apply(base, ids))
    expect(before).toHaveLength(3 * 52_000)
    expect(before.every(Number.isFinite)).toBe(true)
    expect(data(sllm.apply(lora({ at: '**', rank: 1 })(base), ids))).toEqual(before)
    expect(sllm.apply(prompt({ length: 14 })(base), ids).shape).toEqual([1, 17, 52_000])
  })

  test('is drawn as PyTorch draws it: U(±1/√in) for matrices, scales of one, biases of zero', () => {
    const { weight } = base.transformer_blocks[0]!.mlp.ln_1
    const [least, most] = [Math.min(...data(weight.value)), Math.max(...data(weight.value))]
    expect(most).toBeLessThanOrEqual(1 / Math.sqrt(128))
    expect(most).toBeGreaterThan(0.99 / Math.sqrt(128))
    expect(least).toBeLessThan(-0.99 / Math.sqrt(128))
    expect(new Set(data(base.final_norm.scale.value))).toEqual(new Set([1]))
    expect(new Set(data(base.out_head.bias!.value))).toEqual(new Set([0]))
  })
})

describe('configurations', () => {
  test('with bias, every linear layer has one and every norm a shift', () => {
    const model = sllm.init({ ...tiny, bias: true }, key(0))
    const more = count(model).parameters - count(tinySllm()).parameters
    expect(more).toBe(2 * (3 * 12 + 2 * 6 + 2 * 6) + 6)
    expect(model.final_norm.shift?.value.shape).toEqual([6])
    expect(tinySllm().final_norm.shift).toBeNull()
  })

  test('no parameter depends on which others there are', () => {
    const [a, b] = [tinySllm(), sllm.init({ ...tiny, n_layers: 3, bias: true, vocab_size: 20 }, key(0))]
    const path = 'transformer_blocks.1.mlp.ln_1.weight'
    expect(read(get(a, path).value)).toEqual(read(get(b, path).value))
    expect(read(get(a, path).value)).not.toEqual(read(get(a, 'transformer_blocks.0.mlp.ln_1.weight').value))
    expect(read(tinySllm(1).out_head.weight.value)).not.toEqual(read(a.out_head.weight.value))
  })

  test('a wrong configuration is refused with every mistake in it', () => {
    expect(messageOf(() => sllm.init({ ...tiny, n_heads: 0, dropout: 1, vocab_size: 1.5 }, key(0))))
      .toMatchInlineSnapshot(`
      "BadConfig at dropout: expected a number in [0, 1), found 1.
        Start from sllm.config.seed and change what you need.
      BadConfig at n_heads: expected a positive whole number, found 0.
        Start from sllm.config.seed and change what you need.
      BadConfig at vocab_size: expected a positive whole number, found 1.5.
        Start from sllm.config.seed and change what you need."
    `)
    expect(brief(issuesOf(() => sllm.init({ d_model: 'x' } as never, key(0))))).toEqual([
      'BadConfig d_model',
      'BadConfig d_head',
      'BadConfig bias',
      'BadConfig dropout',
      'BadConfig context_window',
      'BadConfig n_heads',
      'BadConfig vocab_size',
      'BadConfig n_layers',
    ])
    for (const nothing of [null, undefined, 5, 'seed'])
      expect(brief(issuesOf(() => sllm.init(nothing as never, key(0))))).toEqual(['BadConfig '])
  })
})

describe('against an independent implementation (fixtures/sllm/make.py)', () => {
  interface Case {
    readonly logits: readonly (readonly (readonly number[])[])[]
    readonly loss: number
  }
  const file = new URL('../fixtures/sllm/expected.json', import.meta.url)
  const expected = JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, Case>>

  /** The weights of make.py: a formula of label and index. */
  const formula = <M>(model: M): M =>
    mapLeaves(model, (leaf) => {
      const { label, value } = leaf as Leaf
      const phase = (Array.from(label).reduce((sum, c, j) => sum + (j + 1) * c.charCodeAt(0), 0) % 1009) / 7
      const centre = label.endsWith('.scale') ? 1 : 0
      const numbers = Float32Array.from({ length: value.size }, (_, i) => centre + 0.6 * Math.sin(phase + 0.37 * i))
      return { ...(leaf as Leaf), value: tensor(numbers, value.shape) }
    }) as M

  const ids = idsOf([
    [3, 1, 4, 1, 5],
    [9, 2, 6, 5, 3],
  ])
  const padded = {
    ids: idsOf([
      [3, 1, 4, 0, 0],
      [9, 2, 6, 5, 3],
    ]),
    mask: tensor([
      [1, 1, 1, 0, 0],
      [1, 1, 1, 1, 1],
    ]),
  }
  const labels = idsOf([
    [3, 1, 4, -100, -100],
    [9, 2, -100, 5, 3],
  ])
  const at = ['**.ln_1', '**.c_proj', '**.Wq', 'out_head'] as const
  const base = formula(tinySllm())
  const tuned = (scaling: Scaling) => formula(lora({ at, rank: 2, alpha: 3, scaling })(base))

  const cases: readonly (readonly [string, AnySllm, { readonly ids: Tensor; readonly mask?: Tensor }])[] = [
    ['plain', base, { ids }],
    ['padded', base, padded],
    ['bias', formula(sllm.init({ ...tiny, bias: true }, key(0))), padded],
    ['lora alpha', tuned('alpha'), padded],
    ['lora alpha/rank', tuned('alpha/rank'), padded],
    ['lora alpha/sqrt(rank)', tuned('alpha/sqrt(rank)'), padded],
    ['prompt', formula(prompt({ length: 3 })(base)), padded],
    ['prompt and lora', formula(pipe(base, prompt({ length: 3 }), lora({ at, rank: 2, alpha: 3 }))), padded],
  ]

  test.each(cases)('%s: logits', (name, model, batch) => {
    expect(distance(sllm.apply(model, batch), expected[name]!.logits.flat(2))).toBeLessThan(1e-5)
  })

  test.each(cases)('%s: loss, labels of −100 left out', (name, model, batch) => {
    const loss = item(sllm.loss(model, { ...batch, labels }))
    expect(Math.abs(loss / expected[name]!.loss - 1)).toBeLessThan(1e-5)
  })

  test.each(cases)('%s: the logits that follow the last real token', (name, model, batch) => {
    const { logits } = expected[name]!
    const virtual = logits[0]!.length - 5
    const last = batch.mask === undefined ? [4, 4] : [2, 4]
    const rows = last.flatMap((position, n) => logits[n]![virtual + position]!)
    expect(distance(sllm.nextLogits(model, batch), rows)).toBeLessThan(1e-5)
  })

  test.each(cases)('%s: merged, the same', (name, model, batch) => {
    expect(distance(sllm.apply(merge(model), batch), expected[name]!.logits.flat(2))).toBeLessThan(1e-5)
  })

  test('the cases tell adapters and scalings apart', () => {
    expect(new Set(Object.values(expected).map((c) => String(c.logits))).size).toBe(cases.length)
    expect(Object.keys(expected)).toEqual(cases.map(([name]) => name))
  })
})

describe('what a causal model may not do', () => {
  const model = loud(pipe(tinySllm(), lora({ at: '**', rank: 2 }), prompt({ length: 2 })), (l) => l.endsWith('.b'))

  test('a later token leaves earlier logits as they are, bit for bit', () => {
    const [a, b] = [idsOf([[1, 2, 3, 4, 5]]), idsOf([[1, 2, 3, 9, 0]])].map((ids) => sllm.apply(model, ids)) as [
      Tensor,
      Tensor,
    ]
    const first = (t: Tensor, n: number) => data(slice(t, [0, 0, 0], [1, n, 11]))
    expect(first(a, 2 + 3)).toEqual(first(b, 2 + 3))
    expect(first(a, 2 + 4)).not.toEqual(first(b, 2 + 4))
  })

  test('what stands under the padding changes nothing', () => {
    const mask = tensor([[1, 1, 1, 0, 0]])
    const at = (rest: readonly number[]) =>
      numbers(() => slice(sllm.apply(model, { ids: idsOf([[1, 2, 3, ...rest]]), mask }), [0, 0, 0], [1, 5, 11]))
    expect(at([4, 5])).toEqual(at([10, 0]))
  })

  test('padding on the right, however much, does not change what comes before it', () => {
    const alone = numbers(() => sllm.nextLogits(model, idsOf([[1, 2, 3]])))
    const padded = numbers(() =>
      sllm.nextLogits(model, { ids: idsOf([[1, 2, 3, 0, 0, 0]]), mask: tensor([[1, 1, 1, 0, 0, 0]]) }),
    )
    padded.forEach((v, i) => expect(v).toBeCloseTo(alone[i]!, 5))
  })

  test('the row of a batch does not depend on the other rows', () => {
    const both = numbers(() =>
      sllm.nextLogits(
        model,
        idsOf([
          [1, 2, 3],
          [9, 9, 9],
        ]),
      ),
    )
    numbers(() => sllm.nextLogits(model, idsOf([[1, 2, 3]]))).forEach((v, i) => expect(v).toBeCloseTo(both[i]!, 5))
  })

  test('a mask of ones is no mask, in whatever dtype', () => {
    const ids = idsOf([[1, 2, 3]])
    const plain = numbers(() => sllm.apply(model, ids))
    for (const dtype of ['float32', 'int32', 'bool'] as const)
      expect(numbers(() => sllm.apply(model, { ids, mask: ones([1, 3], dtype) }))).toEqual(plain)
  })

  test('a prompt does change what follows it, and a row of another batch does not', () => {
    const ids = idsOf([[1, 2, 3]])
    expect(numbers(() => sllm.nextLogits(model, ids))).not.toEqual(numbers(() => sllm.nextLogits(tinySllm(), ids)))
  })

  test('a sequence padded on the left is finite', () => {
    const batch = { ids: idsOf([[0, 0, 3]]), mask: tensor([[0, 0, 1]]) }
    expect(numbers(() => sllm.apply(model, batch)).every(Number.isFinite)).toBe(true)
  })
})

describe('the loss', () => {
  const base = tinySllm()
  const ids = idsOf([[1, 2, 3, 4]])

  test('of a model that knows nothing is the logarithm of the vocabulary', () => {
    const flat = {
      ...base,
      out_head: mapLeaves(base.out_head, (l) => ({ ...(l as Leaf), value: zeros((l as Leaf).value.shape) })),
    }
    expect(item(sllm.loss(flat as AnySllm, { ids, labels: ids }))).toBeCloseTo(Math.log(11), 5)
  })

  test('does not count the first label, nor those of −100', () => {
    const loss = (labels: readonly number[]) => item(sllm.loss(base, { ids, labels: idsOf([labels]) }))
    expect(loss([9, 2, 3, 4])).toBe(loss([-100, 2, 3, 4]))
    expect(loss([1, 2, -100, -100])).not.toBe(loss([1, 2, 3, 4]))
    const each = [loss([-100, 2, -100, -100]), loss([-100, -100, 3, -100]), loss([-100, -100, -100, 4])]
    expect(loss([1, 2, 3, 4])).toBeCloseTo(each.reduce((a, b) => a + b) / 3, 5)
  })

  test('with a prompt, the first label counts: a virtual token comes before it', () => {
    const prompted = prompt({ length: 2 })(base)
    const loss = (labels: readonly number[]) => item(sllm.loss(prompted, { ids, labels: idsOf([labels]) }))
    expect(loss([9, 2, 3, 4])).not.toBe(loss([1, 2, 3, 4]))
  })

  test('wants labels like the ids', () => {
    for (const labels of [
      full([1, 5], 1, 'int32'),
      full([1, 3], 1, 'int32'),
      full([1, 4], 1),
      undefined,
      [[1, 2, 3, 4]],
    ])
      expect(brief(issuesOf(() => sllm.loss(base, { ids, labels: labels as never })))).toEqual(['ShapeMismatch labels'])
    expect(issuesOf(() => sllm.loss(base, { ids, labels: full([1, 4], 11, 'int32') }))[0]?._tag).toBe('OutOfRange')
  })
})

describe('input that does not fit', () => {
  const base = tinySllm()

  test('more tokens than positions, with and without a prompt', () => {
    expect(sllm.apply(base, zeros([1, 9], 'int32')).shape).toEqual([1, 9, 11])
    expect(messageOf(() => sllm.apply(base, zeros([1, 10], 'int32')))).toMatchInlineSnapshot(`
      "ContextOverflow at embedding_block.position_embdgs.weight: expected at most 9 positions, found 10, soft prompts and prefixes included.
        Shorten the text, the soft prompt or the prefix; they share the context window."
    `)
    const prompted = prompt({ length: 4 })(base)
    expect(sllm.apply(prompted, zeros([1, 5], 'int32')).shape).toEqual([1, 9, 11])
    expect(messageOf(() => sllm.apply(prompted, zeros([1, 6], 'int32')))).toMatchInlineSnapshot(`
      "ContextOverflow at embedding_block.position_embdgs.weight: expected at most 9 positions, found 10, soft prompts and prefixes included.
        Shorten the text, the soft prompt or the prefix; they share the context window."
    `)
  })

  test('ids of a wrong shape or dtype, and what are no ids', () => {
    for (const ids of [
      zeros([1, 2]),
      zeros([2], 'int32'),
      zeros([1, 1, 1], 'int32'),
      zeros([1, 0], 'int32'),
      zeros([0, 1], 'int32'),
    ])
      expect(brief(issuesOf(() => sllm.apply(base, ids)))).toEqual(['ShapeMismatch ids'])
    for (const none of [null, undefined, 5, [[1, 2]], {}, { ids: [[1, 2]] }, { ids: null }])
      expect(brief(issuesOf(() => sllm.apply(base, none as never)))).toEqual(['ShapeMismatch ids'])
    expect(messageOf(() => sllm.nextLogits(base, zeros([1, 2])))).toMatchInlineSnapshot(`
      "ShapeMismatch at ids: expected int32 [batch, tokens], neither of them 0, found float32 [1, 2].
        Make ids with tensor([[…]], undefined, "int32")."
    `)
  })

  test('ids beyond the vocabulary', () => {
    for (const id of [11, -1]) expect(issuesOf(() => sllm.apply(base, idsOf([[0, id]])))[0]?._tag).toBe('OutOfRange')
  })

  test('a mask that is not like the ids', () => {
    const ids = zeros([2, 3], 'int32')
    for (const mask of [ones([2, 2]), ones([1, 3]), ones([3]), 1])
      expect(brief(issuesOf(() => sllm.apply(base, { ids, mask: mask as never })))).toEqual(['ShapeMismatch mask'])
  })
})

test('apply, hidden, nextLogits and lastHidden fit together', () => {
  const [base, ids] = [tinySllm(), idsOf([[1, 2, 3]])]
  expect(sllm.hidden(base, ids).hidden.shape).toEqual([1, 3, 6])
  expect(sllm.lastHidden(base, ids).shape).toEqual([1, 6])
  expect(data(slice(sllm.hidden(base, ids).hidden, [0, 2, 0], [1, 1, 6]))).toEqual(data(sllm.lastHidden(base, ids)))
  expect(sllm.nextLogits(base, ids).shape).toEqual([1, 11])
  expect(leaves(base).every((l) => !l.value.isDisposed)).toBe(true)
})

test('a run of the model leaves its result and nothing else', () => {
  const model = sllm.init({ ...sllm.config.seed, d_model: 8, d_head: 4, vocab_size: 11, context_window: 6 }, key(0))
  const ids = tensor([[1, 2, 3]], undefined, 'int32')
  const before = memory().tensors
  const results = [sllm.apply(model, ids), sllm.nextLogits(model, ids), sllm.loss(model, { ids, labels: ids })]
  expect(memory().tensors).toBe(before + results.length)
})
