import { readFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Json } from '../../src/io/json.ts'
import { loadPeft, loadPretrained, orThrow, savePeft } from '../../src/io/index.ts'
import type { PeftModel } from '../../src/io/index.ts'
import { isFloatOfPeft, pythonJson } from '../../src/io/peft/python-json.ts'
import { fixture, fixturesIn } from './fixtures.ts'

const textOf = (folder: string): string => readFileSync(join(folder, 'adapter_config.json'), 'utf8')

describe('a configuration is written as Python writes it', () => {
  const names = fixturesIn('peft', 'adapter_config.json')
  test('of each adapter that PEFT has written, byte for byte', () => {
    const differing = names.filter((name) => {
      const text = textOf(fixture(`peft/${name}`))
      return pythonJson(JSON.parse(text) as Json, isFloatOfPeft) !== text
    })
    expect(names.length).toBeGreaterThan(100)
    expect(differing).toEqual([])
  })

  // json.dumps of Python 3.11.
  test.each<[number, string]>([
    [0, '0.0'],
    [-8, '-8.0'],
    [150, '150.0'],
    [0.1, '0.1'],
    [0.0001, '0.0001'],
    [6e-5, '6e-05'],
    [1e-7, '1e-07'],
    [-1.5e-7, '-1.5e-07'],
    [5e-324, '5e-324'],
    [123_456_789_012_345.6, '123456789012345.6'],
    [1e15, '1000000000000000.0'],
    [1e16, '1e+16'],
    [1.5e300, '1.5e+300'],
  ])('the float %d is %s', (x, text) => {
    expect(pythonJson({ eps: x }, isFloatOfPeft)).toBe(`{\n  "eps": ${text}\n}`)
  })

  test('whole numbers stay whole, and fractions are floats wherever they stand', () => {
    expect(pythonJson({ r: 8, lora_alpha: 1e-7, rank_pattern: { eps: 3 }, list: [2, 2e-5] }, isFloatOfPeft)).toBe(
      '{\n  "list": [\n    2,\n    2e-05\n  ],\n  "lora_alpha": 1e-07,\n  "r": 8,\n  "rank_pattern": {\n    "eps": 3\n  }\n}',
    )
  })
})

// What a model does not say: how PEFT was called, and what the adapter began from.
const apart = ['base_model_name_or_path', 'init_weights', 'task_type']

describe('a configuration of our own is that of PEFT', () => {
  test.each([
    ['lora-gpt2', 'gpt2'],
    ['oft-llama', 'llama'],
    ['fourier-gpt2', 'gpt2'],
    ['hra-llama', 'llama'],
    ['miss-llama', 'llama'],
    ['loha-llama', 'llama'],
    ['boft-llama', 'llama'],
  ] as const)('%s', async (name, on) => {
    const base = await orThrow(loadPretrained(fixture(`models/${on}`)))
    const read = await orThrow(loadPeft(fixture(`peft/${name}`), base))
    const { adapter: _adapter, ...fresh } = read as PeftModel
    const to = join(await mkdtemp(join(tmpdir(), 'peft-')), 'adapter')
    await orThrow(savePeft(fresh as never, to))
    const lines = (text: string): readonly string[] =>
      text.split('\n').filter((line) => !apart.some((key) => line.startsWith(`  "${key}"`)))
    expect(lines(textOf(to))).toEqual(lines(textOf(fixture(`peft/${name}`))))
  })
})
