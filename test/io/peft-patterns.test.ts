import { describe, expect, test } from 'vitest'
import { EspalierError } from '../../src/index.ts'
import { matchAll } from '../../src/io/peft/match.ts'
import type { Module } from '../../src/io/peft/modules.ts'
import { patternValues } from '../../src/io/peft/patterns.ts'
import { namedBy } from '../../src/io/peft/targets.ts'
import type { Targeting } from '../../src/io/peft/targets.ts'

const names = [
  'model.layers.0.self_attn.q_proj',
  'model.layers.10.mlp.down_proj',
  'lm_head',
  'h.1.attn.c_attn',
  'a-b',
  'a{2}',
  'aa',
  'x]y',
  'MODEL.Q',
  'h.1.h.2',
]

describe('patterns match what Python matches', () => {
  // What `re.match` of Python 3.11 gives for these names, by their numbers.
  test.for<readonly [string, readonly number[]]>([
    ['.*q_proj$', [0]],
    [String.raw`(?P<n>h)\.1\.(?P=n)\.2$`, [9]],
    [String.raw`\Amodel\.layers\.\d+\.mlp\..*\Z`, [1]],
    ['a{,2}$', [6]],
    ['a{2}$', [6]],
    [String.raw`a\{2\}$`, [5]],
    ['a{b}', []],
    [String.raw`a\-b$`, [4]],
    ['x]y$', [7]],
    [String.raw`[]x]\]y$`, [7]],
    ['[^]]+$', [0, 1, 2, 3, 4, 5, 6, 8, 9]],
    [String.raw`(?i)model\.q$`, [8]],
    ['(?#a note)lm_head$', [2]],
    ['.*(?<!down)_proj$', [0]],
    ['(?s).*attn.*', [0, 3]],
  ])('%s', ([pattern, wanted]) => {
    expect([...matchAll([pattern], names, '')[0]!.keys()]).toEqual(wanted.map((i) => names[i]))
  })

  test.for([
    '(a',
    '*',
    'a++',
    '(?>a)',
    '(?(1)a|b)',
    String.raw`\h`,
    '(?x)a',
    String.raw`a{1}+`,
    '[b-a]',
    '(([a-z_.0-9])+)+!$',
  ])('%s is refused', (pattern) => {
    const start = performance.now()
    expect(() => matchAll([pattern], names, 'adapter_config.json#target_modules')).toThrow(EspalierError)
    expect(performance.now() - start).toBeLessThan(8000)
  })
})

const modules: readonly Module[] = names.map((path) => ({ path, tag: 'Linear', use: 'linear' }))
const named = (targeting: Partial<Targeting>): readonly string[] => [
  ...namedBy({ target_modules: null, ...targeting }, modules, (key) => key),
]

test('modules are named by ends of lists, by whole patterns, or all that are linear', () => {
  expect(named({ target_modules: ['q_proj', 'proj', 'lm_head'] })).toEqual([names[0], 'lm_head'])
  expect(named({ target_modules: 'model.*' })).toEqual([names[0], names[1]])
  expect(named({ target_modules: 'q_proj' })).toEqual([])
  expect(named({ target_modules: 'All-Linear' })).toEqual(names.filter((name) => name !== 'lm_head'))
  expect(
    named({ target_modules: 'all-linear', exclude_modules: ['c_attn'], modules_to_save: ['model'] }),
  ).not.toContain('h.1.attn.c_attn')
  expect(named({ target_modules: 'all-linear', modules_to_save: ['self_attn'] })).not.toContain(names[0])
  expect(named({ target_modules: '.*proj', exclude_modules: '.*mlp.*' })).toEqual([names[0]])
})

test('layers count where an end matches, and not where a name is whole', () => {
  const ends = ['q_proj', 'down_proj', 'c_attn']
  expect(named({ target_modules: ends, layers_to_transform: 10 })).toEqual([names[1]])
  expect(named({ target_modules: ends, layers_to_transform: [1, 0] })).toEqual([names[0]])
  expect(named({ target_modules: ends, layers_to_transform: [1], layers_pattern: 'h' })).toEqual(['h.1.attn.c_attn'])
  expect(named({ target_modules: [names[0]!], layers_to_transform: [3] })).toEqual([names[0]])
})

test('the first pattern that ends a name gives its value', () => {
  const patterns = { 'layers.0.*q_proj': 3, q_proj: 2, '^lm_head': 5, attn: 7 }
  const value = patternValues(patterns, names, 1, '')
  expect(names.slice(0, 4).map(value)).toEqual([3, 1, 5, 1])
})
