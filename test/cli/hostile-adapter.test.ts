import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { fixture } from '../io/fixtures.ts'
import { copyOf, fresh, filesIn, inputOf, outcomeOf, putTensors, withHeader, withJson } from './hostile.ts'
import type { Damage, Header } from './hostile.ts'

// What is said on stderr besides is no part of these trials.
const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true)

const ids = inputOf({
  input_ids: [
    [1, 3],
    [5, 7, 9],
  ],
})

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
    config({ rank_pattern: Object.fromEntries(Array.from({ length: 1e5 }, (_, i) => [`x${i}`, 3])) }),
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
    const out = fresh()
    const model = fixture('models/gpt2')
    stderr.mockClear()
    const outcome = await outcomeOf([
      'logits',
      '--model',
      model,
      '--adapter',
      folder,
      '--input',
      ids,
      '--output',
      join(out, 'o'),
    ])
    expect(outcome).toMatchObject({ code: 2 })
    expect(outcome.said.replaceAll(folder, 'DIR')).toMatch(message)
    expect(outcome.said).not.toMatch(/\n\s+at /)
    expect(outcome.said.length).toBeLessThan(8000)
    expect(stderr).not.toHaveBeenCalled()
    expect(filesIn(out)).toEqual([])
    expect(outcome.took).toBeLessThan(40_000)
    const merged = await outcomeOf(['merge', '--model', model, '--adapter', folder, '--output', join(out, 'merged')])
    expect([merged.code, filesIn(out)]).toEqual([2, []])
  })
})
