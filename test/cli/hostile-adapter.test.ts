import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { gpt2, key } from '../../src/index.ts'
import { loadPeft } from '../../src/io/index.ts'
import { fixture, json } from '../io/fixtures.ts'
import {
  copyOf,
  cpu,
  filesIn,
  fresh,
  outcomeOf,
  putTensors,
  refusedInOneMessage,
  threeIds,
  withHeader,
  withJson,
} from './hostile.ts'
import type { Damage, Header } from './hostile.ts'

const ids = threeIds()

const file = 'adapter_model.safetensors'

const config =
  (change: Readonly<Record<string, unknown>> | string): Damage =>
  (folder) =>
    withJson(join(folder, 'adapter_config.json'), change)
const first =
  (change: (entry: Header[string]) => void): Damage =>
  (folder) =>
    withHeader(join(folder, file), (h) => {
      change(h[Object.keys(h).find((k) => k !== '__metadata__')!]!)
    })
const slow = '(([a-z0-9._]+)+)+!'

const cases: readonly (readonly [string, Damage, RegExp])[] = [
  [
    'cut short',
    (f) => writeFileSync(join(f, file), readFileSync(join(f, file)).subarray(0, 900)),
    /^Truncated at DIR\/adapter_model/,
  ],
  ['no weights', (f) => rmSync(join(f, file)), /adapter_model\.safetensors.*ENOENT/],
  ['no configuration', (f) => rmSync(join(f, 'adapter_config.json')), /BadUsage at --adapter: .*neither/],
  ['whole numbers', first((e) => void (e.dtype = 'I32')), /adapter_model\.safetensors#base_model/],
  ['a wrong shape', first((e) => void (e.shape = e.shape.toReversed())), /ShapeMismatch at DIR\/adapter_model/],
  ['one dimension', first((e) => void (e.shape = [e.shape[0]! * e.shape[1]!])), /ShapeMismatch/],
  ['NaN', (f) => withHeader(join(f, file), (_, d) => void d.fill(255)), /NonFinite at DIR\/adapter_model/],
  ['a rank of 10^9', config({ r: 1e9 }), /expected \[1000000000, 32\]/],
  ['a rank of 10^15', config({ r: 1e15 }), /ShapeMismatch/],
  ['a rank of 0', config({ r: 0 }), /adapter_config\.json#r: expected a positive whole number/],
  ['a text for a rank', config({ r: '4' }), /adapter_config\.json#r/],
  [
    'an alpha that is none',
    config('{"peft_type":"LORA","target_modules":["c_attn"],"lora_alpha":1e999}'),
    /#lora_alpha: .*Infinity/,
  ],
  ['ranks that are not those of the file', config({ rank_pattern: { c_attn: 77 } }), /expected \[77, 32\]/],
  [
    'ranks of the prototype',
    config('{"peft_type":"LORA","target_modules":["c_attn"],"rank_pattern":{"__proto__":3}}'),
    /ShapeMismatch/,
  ],
  [
    '100,000 patterns',
    // The last of them hits: refused in time or not, it is refused.
    config({ rank_pattern: Object.fromEntries([...Array.from({ length: 1e5 }, (_, i) => [`x${i}`, 3]), ['.*', 3]]) }),
    /BadPattern|ShapeMismatch/,
  ],
  [
    'a slow pattern for targets',
    config({ target_modules: slow }),
    /BadPattern at DIR\/adapter_config\.json#target_modules/,
  ],
  ['a slow pattern for ranks', config({ rank_pattern: { [slow]: 3 } }), /#rank_pattern/],
  ['a slow pattern for what is saved', config({ modules_to_save: [slow] }), /#modules_to_save/],
  ['a slow pattern for layers', config({ layers_to_transform: [0], layers_pattern: [slow] }), /#layers_pattern/],
  ['a pattern that is none', config({ target_modules: '((' }), /BadPattern/],
  ['layers that are not there', config({ layers_to_transform: [1e9, -5] }), /NoMatch/],
  [
    'a type of the prototype',
    config({ peft_type: '__proto__' }),
    /UnsupportedAdapter at DIR\/adapter_config\.json#peft_type/,
  ],
  ['a number for a type', config({ peft_type: 7 }), /#peft_type/],
  ['the task of a classifier', config({ task_type: 'SEQ_CLS' }), /MissingTensor at .*score\.weight/],
  ['an unknown key', config({ use_magic: true }), /UnsupportedConfig at DIR\/adapter_config\.json#use_magic/],
  ['a key of the prototype', config('{"peft_type":"LORA","__proto__":{"r":3}}'), /#__proto__/],
  ['a deep configuration', config(`{"a":${'['.repeat(1e5)}`), /at most 500 levels/],
  ['100,000 targets', config({ target_modules: Array.from({ length: 1e5 }, (_, i) => `a${i}`) }), /NoMatch/],
  ['no targets', config({ target_modules: [] }), /NoMatch/],
  [
    '300,000 tensors',
    (f) => {
      const names = Array.from(
        { length: 3e5 },
        (_, i) => `"base_model.model.h.${i}":{"dtype":"F32","shape":[1],"data_offsets":[${i * 4},${i * 4 + 4}]}`,
      )
      putTensors(join(f, file), `{${names.join()}}`, 1.2e6)
    },
    /ExtraTensor at DIR\/adapter_model\.safetensors: expected at most \d+ tensors/,
  ],
]

describe('an adapter that is damaged or means harm is refused in one message', () => {
  test.each(cases)('%s', async (_, damage, message) => {
    const folder = copyOf('peft/lora-gpt2')
    damage(folder)
    const model = fixture('models/gpt2')
    await refusedInOneMessage(folder, { model, adapter: folder }, ids, message)
    const out = fresh()
    const merged = await outcomeOf(['merge', '--model', model, '--adapter', folder, '--output', join(out, 'merged')])
    expect([merged.code, filesIn(out)]).toEqual([2, []])
  })
})

// What a method draws or computes by a number that no tensor need confirm.
const numbers: readonly (readonly [string, string, Readonly<Record<string, unknown>>, RegExp])[] = [
  ['VERA, a rank to draw projections of', 'vera-no-projection', { r: 2e7 }, /ShapeMismatch at DIR.*vera_lambda_d/],
  ['VERA, a rank with projections', 'vera-gpt2', { r: 1e9 }, /ShapeMismatch/],
  ['RANDLORA, a rank', 'randlora-gpt2', { r: 1e9 }, /ShapeMismatch/],
  ['ADALORA, a rank', 'adalora-gpt2', { init_r: 1e9 }, /ShapeMismatch|BadConfig/],
  ['HRA, a rank', 'hra-llama', { r: 1e9 }, /ShapeMismatch/],
  ['LOHA, a rank', 'loha-llama', { r: 1e9 }, /ShapeMismatch/],
  ['LOKR, a rank', 'lokr-llama', { r: 1e9 }, /MissingTensor|ShapeMismatch/],
  ['OFT, a size of blocks', 'oft-llama', { oft_block_size: 1e15 }, /ShapeMismatch/],
  ['OFT, a number of blocks', 'oft-llama', { oft_block_size: 0, r: 1e15 }, /ShapeMismatch/],
  ['OFT, a number of terms', 'oft-llama', { num_cayley_neumann_terms: 1e9 }, /BadConfig.*num_cayley_neumann_terms/],
  ['BOFT, a size of blocks', 'boft-llama', { boft_block_size: 1e15 }, /BadConfig/],
  ['BOFT, a number of blocks', 'boft-blocks', { boft_block_size: 0, boft_block_num: 1e15 }, /BadConfig/],
  ['MISS, a rank', 'miss-llama', { r: 1e9 }, /BadConfig/],
  ['MISS, a width', 'miss-mini', { mini_r: 1e9 }, /BadConfig/],
  ['FOURIERFT, more frequencies than there are', 'fourier-gpt2', { n_frequency: 1e9 }, /BadConfig/],
  ['PREFIX_TUNING, a number of tokens', 'prefix-gpt2', { num_virtual_tokens: 1e9 }, /ShapeMismatch/],
  ['PROMPT_TUNING, a width', 'prompt-gpt2', { num_virtual_tokens: 1e9 }, /ShapeMismatch/],
]

/** Memory that this process has taken at most, in MB. */
const peak = (): number => process.resourceUsage().maxRSS / 1024

describe('a number of a configuration is held against the file before anything is made of it', () => {
  test.each(numbers)('%s', async (_, adapter, change, message) => {
    const folder = copyOf(`peft/${adapter}`)
    config(change)(folder)
    const model = fixture(`models/${String(json(`peft/${adapter}/expected.json`)['model'])}`)
    const before = peak()
    const args = ['logits', '--model', model, '--adapter', folder, '--input', ids, '--output', join(fresh(), 'o')]
    const outcome = await outcomeOf(args)
    expect(outcome).toMatchObject({ code: 2 })
    expect(outcome.said.replaceAll(folder, 'DIR')).toMatch(message)
    expect(outcome.took).toBeLessThan(2000)
    expect(peak() - before).toBeLessThan(200)
  })

  test('FOURIERFT, as many frequencies as a wide layer has, of which the file has a few', async () => {
    const size = { vocab_size: 8, n_embd: 1024, n_layer: 1, n_head: 2 }
    const named = { model_type: 'gpt2', architectures: ['GPT2LMHeadModel'], ...size }
    const model = gpt2.init(size, key(0))
    const folder = fresh()
    const from = fixture('peft/fourier-gpt2')
    for (const name of [file, 'adapter_config.json']) writeFileSync(join(folder, name), readFileSync(join(from, name)))
    config({ n_frequency: 3e6, target_modules: ['c_attn'] })(folder)
    const [before, start] = [peak(), cpu()]
    const result = await loadPeft(folder, { model, config: named, family: 'gpt2', task: 'causal-lm' })()
    expect(result).toMatchObject({ _tag: 'Left', left: [{ _tag: 'ShapeMismatch' }] })
    expect(cpu() - start).toBeLessThan(1000)
    expect(peak() - before).toBeLessThan(100)
  })
})
