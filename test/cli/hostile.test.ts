import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { copyOf, outcomeOf, putTensors, refusedInOneMessage, threeIds, withHeader, withJson } from './hostile.ts'
import type { Damage, Header } from './hostile.ts'

const ids = threeIds()

const weights = 'model.safetensors'
const wte = 'transformer.wte.weight'

const config =
  (change: Readonly<Record<string, unknown>> | string): Damage =>
  (folder) =>
    withJson(join(folder, 'config.json'), change)
const header =
  (change: (header: Header, data: Buffer) => unknown): Damage =>
  (folder) =>
    withHeader(join(folder, weights), change)
const entry =
  (change: (entry: Header[string]) => void): Damage =>
  (folder) =>
    withHeader(join(folder, weights), (h) => {
      change(h[wte]!)
    })
const text =
  (from: string, to: string): Damage =>
  (folder) => {
    const path = join(folder, 'config.json')
    writeFileSync(path, readFileSync(path, 'utf8').replace(from, to))
  }
const sharded =
  (index: string): Damage =>
  (folder) => {
    rmSync(join(folder, weights))
    writeFileSync(join(folder, 'model.safetensors.index.json'), index)
  }
const classifier = { architectures: ['GPT2ForSequenceClassification'] }

const cases: readonly (readonly [string, Damage, RegExp])[] = [
  [
    'weights cut short',
    (f) => writeFileSync(join(f, weights), readFileSync(join(f, weights)).subarray(0, 5000)),
    /^Truncated at DIR\/model\.safetensors: .*\n {2}The file is cut off/,
  ],
  ['empty weights', (f) => writeFileSync(join(f, weights), ''), /^Truncated at DIR\/model\.safetensors/],
  ['no weights', (f) => rmSync(join(f, weights)), /^NotFound at DIR: .*model\.safetensors/],
  [
    'weights as a pickle',
    (f) => (rmSync(join(f, weights)), writeFileSync(join(f, 'pytorch_model.bin'), 'x')),
    /PickleOnly/,
  ],
  [
    'overlapping offsets',
    header((h) => void (h[wte]!.data_offsets = h['transformer.wpe.weight']!.data_offsets)),
    /BadHeader at DIR\/model\.safetensors#transformer\.wte\.weight/,
  ],
  ['offsets beyond the file', entry((e) => void (e.data_offsets = [0, 1e12])), /offsets 0 to 1000000000000/],
  ['offsets beyond all numbers', entry((e) => void (e.data_offsets = [0, 1e300])), /#transformer\.wte\.weight/],
  ['negative offsets', entry((e) => void (e.data_offsets = [-8, 0])), /data_offsets\.0: expected a whole number >= 0/],
  [
    'whole numbers as weights',
    entry((e) => void (e.dtype = 'I32')),
    /UnsupportedDType at DIR\/model\.safetensors#transformer\.wte\.weight/,
  ],
  [
    'bytes as weights',
    entry((e) => void ((e.dtype = 'U8'), (e.shape[1]! *= 4))),
    /ShapeMismatch at DIR\/model\.safetensors#transformer\.wte\.weight/,
  ],
  ['an unknown dtype', entry((e) => void (e.dtype = 'Q4')), /#transformer\.wte\.weight\.dtype/],
  [
    'a wrong shape',
    entry((e) => void (e.shape = e.shape.toReversed())),
    /expected \[64, 32\], as config\.json has it, found \[32, 64\]/,
  ],
  [
    'a tensor twice',
    header((h) => JSON.stringify(h).replace('{', `{"${wte}":${JSON.stringify(h[wte])},`)),
    /"transformer\.wte\.weight" twice/,
  ],
  [
    'a header longer than any',
    (f) => writeFileSync(join(f, weights), Buffer.from([255, 255, 255, 255, 255, 255, 255, 127])),
    /BadHeader at DIR\/model\.safetensors/,
  ],
  ['a header without end', (f) => putTensors(join(f, weights), `{"a":${'['.repeat(1e6)}`), /at most 500 levels/],
  ['a tensor too few', header((h) => void delete h[wte]), /BadHeader/],
  [
    'a tensor of the prototype',
    header((h, d) =>
      JSON.stringify(h).replace(
        '{',
        `{"__proto__":{"dtype":"F32","shape":[0],"data_offsets":[${d.length},${d.length}]},`,
      ),
    ),
    /ExtraTensor at DIR\/model\.safetensors#__proto__/,
  ],
  ['NaN weights', header((_, d) => void d.fill(255)), /NonFinite at DIR\/model\.safetensors#transformer\./],
  [
    '300,000 tensors',
    (f) => {
      const names = Array.from(
        { length: 3e5 },
        (_, i) => `"h.${i}":{"dtype":"F32","shape":[1],"data_offsets":[${i * 4},${i * 4 + 4}]}`,
      )
      putTensors(join(f, weights), `{${names.join()}}`, 1.2e6)
    },
    /MissingTensor at DIR#transformer\.wte\.weight/,
  ],
  [
    'a shard that leaves the folder',
    sharded(JSON.stringify({ weight_map: { [wte]: '../x.safetensors' } })),
    /BadShard at DIR\/model\.safetensors\.index\.json/,
  ],
  ['a shard that is not there', sharded(JSON.stringify({ weight_map: { [wte]: 'x.safetensors' } })), /MissingShard/],
  ['an index that is none', sharded('[]'), /index\.json/],
  ['no config', (f) => rmSync(join(f, 'config.json')), /FileSystem at .*ENOENT/],
  ['n_layer 10^9', config({ n_layer: 1e9 }), /BadConfig at DIR\/config\.json#n_layer/],
  ['n_layer 10,000', config({ n_layer: 10_000 }), /BadConfig at DIR\/config\.json: expected at most \d+ layers/],
  ['vocab_size 10^12', config({ vocab_size: 1e12 }), /expected \[1000000000000, 32\], as config\.json has it/],
  ['n_embd 10^15', config({ n_embd: 1e15 }), /BadConfig at DIR\/config\.json#n_embd|ShapeMismatch/],
  ['n_positions 10^15', config({ n_positions: 1e15 }), /#transformer\.wpe\.weight/],
  ['n_inner 10^15', config({ n_inner: 1e15 }), /#transformer\.h\.0\.mlp\.c_fc\.weight/],
  [
    'heads that do not divide',
    config({ n_head: 3 }),
    /BadConfig at DIR\/config\.json#n_embd: expected a multiple of 3/,
  ],
  ['no heads', config({ n_head: 0 }), /config\.json#n_head/],
  ['negative layers', config({ n_layer: -2 }), /config\.json#n_layer/],
  ['half a layer', config({ n_layer: 1.5 }), /config\.json#n_layer/],
  ['an infinite epsilon', text('1e-05', '1e999'), /#layer_norm_epsilon: .*found Infinity/],
  ['NaN for a number', text('1e-05', 'NaN'), /BadJson at DIR\/config\.json/],
  ['a negative epsilon', config({ layer_norm_epsilon: -5 }), /#layer_norm_epsilon/],
  ['texts for numbers', config({ n_layer: '2', n_head: [4] }), /#n_layer[\s\S]*#n_head/],
  ['no model_type', config({ model_type: null }), /UnsupportedModel at DIR\/config\.json#model_type/],
  ['a model_type of the prototype', config({ model_type: '__proto__' }), /#model_type/],
  ['an activation of the prototype', config({ activation_function: 'constructor' }), /#activation_function/],
  ['a list', config('[]'), /expected an object/],
  ['nothing', config('null'), /expected an object/],
  ['a deep config', config(`{"a":${'['.repeat(1e5)}${']'.repeat(1e5)}}`), /at most 500 levels/],
  ['a config cut short', config('{"model_type": "gpt2", '), /BadJson at DIR\/config\.json/],
  ['a key twice', config('{"model_type":"gpt2","model_type":"bert"}'), /"model_type" twice/],
  [
    'keys of the prototype',
    config('{"model_type":"gpt2","__proto__":{"n_layer":1},"constructor":{"x":1}}'),
    /#__proto__[\s\S]*#constructor/,
  ],
  [
    'a million labels',
    config({ ...classifier, id2label: Object.fromEntries(Array.from({ length: 1e6 }, (_, i) => [i, 'a'])) }),
    /#score\.weight/,
  ],
  [
    'labels of the prototype',
    config(
      '{"model_type":"gpt2","architectures":["GPT2ForSequenceClassification"],"id2label":{"__proto__":1,"constructor":2}}',
    ),
    /ShapeMismatch/,
  ],
  ['fewer labels than none', config({ ...classifier, num_labels: -3 }), /config\.json#num_labels/],
  ['half a label', config({ ...classifier, num_labels: 0.5 }), /config\.json#num_labels/],
]

describe('a model that is damaged or means harm is refused in one message', () => {
  test.each(cases)('%s', async (_, damage, message) => {
    const folder = copyOf('models/gpt2')
    damage(folder)
    await refusedInOneMessage(folder, { model: folder }, ids, message)
  })

  test('an encoder whose heads do not divide its width', async () => {
    const folder = copyOf('models/bert')
    config({ num_attention_heads: 5 })(folder)
    const { code, said } = await outcomeOf(['inspect', '--model', folder])
    expect([code, said]).toEqual([2, expect.stringMatching(/config\.json#hidden_size: expected a multiple of 5/)])
  })
})
