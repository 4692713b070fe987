import { expect, test } from 'vitest'
import { constant, freeze, lora, param, partition, pipe, prompt, show, sllm, key } from '../../src/index.ts'
import { zeros } from '../../src/ops/index.ts'
import { tinySllm } from '../support.ts'

const tuned = pipe(
  tinySllm(),
  freeze,
  lora({ at: 'transformer_blocks.{1..1}.mlp.ln_1', rank: 2, alpha: 4 }),
  prompt({ length: 3 }),
)

test('a tuned model reads as a tree', () => {
  expect(show(tuned)).toMatchInlineSnapshot(`
    "Sllm                                                                       mixed      1,001 (42 trainable)
    ├─ embedding_block  EmbeddingBlock                                         mixed      138 (18 trainable)
    │  ├─ token_embdgs  Prompted                                               mixed      84 (18 trainable)
    │  │  ├─ (base)  Embedding                                                 frozen     66
    │  │  │  └─ weight                                           11×6 float32  frozen     66
    │  │  └─ prompt                                              3×6 float32   trainable  18
    │  └─ position_embdgs  Positions                                           frozen     54
    │     └─ weight                                              9×6 float32   frozen     54
    ├─ transformer_blocks  [2]                                                 mixed      780 (24 trainable)
    │  ├─ 0  Block                                                             frozen     378
    │  │  ├─ ln1  LayerNorm eps=0.00001                                        frozen     6
    │  │  │  └─ scale                                            6 float32     frozen     6
    │  │  ├─ mha  Attention heads=3                                            frozen     294
    │  │  │  ├─ Wq  Linear                                                     frozen     72
    │  │  │  │  └─ weight                                        6×12 float32  frozen     72
    │  │  │  ├─ Wk  Linear                                                     frozen     72
    │  │  │  │  └─ weight                                        6×12 float32  frozen     72
    │  │  │  ├─ Wv  Linear                                                     frozen     72
    │  │  │  │  └─ weight                                        6×12 float32  frozen     72
    │  │  │  └─ projection_out  Linear                                         frozen     78
    │  │  │     ├─ weight                                        12×6 float32  frozen     72
    │  │  │     └─ bias                                          6 float32     frozen     6
    │  │  ├─ ln2  LayerNorm eps=0.00001                                        frozen     6
    │  │  │  └─ scale                                            6 float32     frozen     6
    │  │  └─ mlp  Mlp dropout=0                                                frozen     72
    │  │     ├─ ln_1  Linear                                                   frozen     36
    │  │     │  └─ weight                                        6×6 float32   frozen     36
    │  │     └─ c_proj  Linear                                                 frozen     36
    │  │        └─ weight                                        6×6 float32   frozen     36
    │  └─ 1  Block                                                             mixed      402 (24 trainable)
    │     ├─ ln1  LayerNorm eps=0.00001                                        frozen     6
    │     │  └─ scale                                            6 float32     frozen     6
    │     ├─ mha  Attention heads=3                                            frozen     294
    │     │  ├─ Wq  Linear                                                     frozen     72
    │     │  │  └─ weight                                        6×12 float32  frozen     72
    │     │  ├─ Wk  Linear                                                     frozen     72
    │     │  │  └─ weight                                        6×12 float32  frozen     72
    │     │  ├─ Wv  Linear                                                     frozen     72
    │     │  │  └─ weight                                        6×12 float32  frozen     72
    │     │  └─ projection_out  Linear                                         frozen     78
    │     │     ├─ weight                                        12×6 float32  frozen     72
    │     │     └─ bias                                          6 float32     frozen     6
    │     ├─ ln2  LayerNorm eps=0.00001                                        frozen     6
    │     │  └─ scale                                            6 float32     frozen     6
    │     └─ mlp  Mlp dropout=0                                                mixed      96 (24 trainable)
    │        ├─ ln_1  Linear                                                   mixed      60 (24 trainable)
    │        │  └─ weight  Lora alpha=4 scaling=alpha dropout=0                mixed      60 (24 trainable)
    │        │     ├─ (base)                                     6×6 float32   frozen     36
    │        │     ├─ a                                          6×2 float32   trainable  12
    │        │     └─ b                                          2×6 float32   trainable  12
    │        └─ c_proj  Linear                                                 frozen     36
    │           └─ weight                                        6×6 float32   frozen     36
    ├─ final_norm  LayerNorm eps=0.00001                                       frozen     6
    │  └─ scale                                                  6 float32     frozen     6
    └─ out_head  Linear                                                        frozen     77
       ├─ weight                                                 6×11 float32  frozen     66
       └─ bias                                                   11 float32    frozen     11"
  `)
})

test('equal elements of a list are one row, unless asked for in full', () => {
  const base = sllm.init({ ...sllm.config.seed, d_model: 2, d_head: 1, vocab_size: 3, n_layers: 4 }, key(0))
  expect(show(base)).toContain('{0..3}')
  expect(show(base)).toMatch(/Block .* each/)
  expect(show(base, { full: true }).split('\n')).toHaveLength(show(base).split('\n').length + 3 * 20)
  expect(show(base, { full: true })).not.toContain('each')
})

test('ties, constants, scalars and holes', () => {
  const w = param('table', 'tokens', zeros([2, 3]))
  const tree = { embed: w, head: w, rope: constant('rope', zeros([4])), s: param('vector', 's', zeros([])) }
  expect(show(tree)).toMatchInlineSnapshot(`
    "{}                        trainable  7
    ├─ embed  2×3 float32     trainable  6  ⟷ tokens
    ├─ head   2×3 float32     trainable  6  ⟷ tokens
    ├─ rope   4 float32       constant   4
    └─ s      scalar float32  trainable  1"
  `)
  expect(show(partition(tree).trainable)).toContain('rope  ·')
})

test('colours change nothing but the colour', () => {
  const painted = show(tuned, { color: true })
  expect(painted).not.toBe(show(tuned))
  // oxlint-disable-next-line no-control-regex -- the escape codes are what is looked for
  expect(painted.replace(/\u001b\[\d+m/g, '').replace(/ +$/gm, '')).toBe(show(tuned))
})
