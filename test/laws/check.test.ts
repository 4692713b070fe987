import { fc } from '@fast-check/vitest'
import { describe, expect, test } from 'vitest'
import {
  attach,
  define,
  embedding,
  freeze,
  layer,
  linear,
  lora,
  lookup,
  mapLeaves,
  merge,
  sllm,
} from '../../src/index.ts'
import {
  LawFailure,
  assertLaws,
  check,
  commutesOnDisjoint,
  formatReport,
  keepsTies,
  lawsFor,
  adapter,
  marking,
  preservesOutputs,
  structural,
  touchesOnly,
  trees,
  vacuous,
  verdict,
} from '../../src/laws/index.ts'
import { memory, mean } from '../../src/ops/index.ts'
import { Net } from './row.ts'
import { Scaled } from './table.ts'

const myTransform = lora({ at: '**.fc1', rank: 2 })
const broken = (model: never): unknown => mapLeaves(freeze(model), (leaf) => ({ ...leaf, label: 'all' }))

describe('check', () => {
  test('checks a transform of a user on a model of a user in one call', () => {
    const report = check(myTransform, { on: Net, laws: [preservesOutputs, keepsTies, touchesOnly('**.fc1')], runs: 20 })
    expect(assertLaws(report)).toBe(report)
    expect(report).toMatchObject({ passed: true, runs: 60, subject: 'the transform on Net' })
    expect(report.results.map((r) => [r.name, r.effective])).toEqual([
      ['preservesOutputs', 20],
      ['keepsTies', 20],
      ['touchesOnly', 20],
    ])
  })

  test('knows the laws of an adapter by itself, also of a variant of a user', () => {
    const report = check(attach(Scaled)({ at: '**.fc1' }), { on: Net, kinds: { Scaled }, runs: 5 })
    expect(report.passed, formatReport(report)).toBe(true)
    expect(report.results.map((r) => r.name)).toEqual(lawsFor(adapter).map((law) => law.name))
  })

  test('on bare trees, leaves out the laws that need outputs', () => {
    const report = check(freeze, { on: trees({ nonEmpty: true }), declare: marking, runs: 50 })
    expect(report.passed, formatReport(report)).toBe(true)
    expect(report.results.map((r) => r.name)).toEqual(lawsFor(marking, false).map((law) => law.name))
  })

  test('a law that needs outputs, asked of bare trees, fails and says why', () => {
    const [result] = check(freeze, { on: trees(), laws: [preservesOutputs], runs: 10 }).results
    expect(result).toMatchObject({ passed: false, effective: 0, runs: 10 })
    expect(result?.why).toContain('a bare tree has no outputs')
  })

  test('nothing but its report is left of a check', () => {
    const before = memory().tensors
    check(myTransform, { on: sllm, laws: lawsFor(adapter), runs: 2 })
    check(broken, { on: Net, laws: lawsFor(marking), runs: 2 })
    expect(memory().tensors).toBe(before)
  })
})

describe('effective runs', () => {
  const odd = (share: number) => {
    let n = 0
    return structural({
      name: 'sometimes',
      says: 'Now and then it has something to say.',
      equality: 'exact',
      check: () => ((n += 1) % 100 < share ? verdict(true, '') : vacuous('nothing to see')),
    })
  }

  test('fewer than nine in ten are a failure that says so', () => {
    const [few] = check(freeze, { on: Net, laws: [odd(89)], runs: 100 }).results
    expect(few).toMatchObject({ passed: false, effective: 89, runs: 100 })
    expect(few?.why).toBe('only 89 of 100 runs were effective: nothing to see')
    expect(check(freeze, { on: Net, laws: [odd(90)], runs: 100 }).passed).toBe(true)
  })

  test('a transform that is refused everywhere is not passed', () => {
    const nowhere = lora.unchecked({ at: '**.fc9', rank: 2 })
    const [result] = check(nowhere, { on: Net, laws: [preservesOutputs], runs: 10 }).results
    expect(result).toMatchObject({ passed: false, effective: 0 })
    expect(result?.why).toContain('NoMatch')
  })
})

describe('counterexamples', () => {
  const options = { on: Net, declare: marking, laws: lawsFor(marking), name: 'broken' } as const

  test('are readable, small, and can be replayed', () => {
    const report = check(broken, options)
    const clash = report.results.find((r) => r.name === 'keepsLabelsUnique')
    const { seed, path, shown, found } = clash!.counterexample!
    expect(found).toContain('the label "all" to name one leaf')
    expect(shown).toContain('Net of {"in":2,"hidden":2,"out":2}')
    expect(shown).toContain('square  Linear')
    const [again] = check(broken, {
      ...options,
      laws: options.laws.filter((l) => l.name === clash!.name),
      seed,
      path,
    }).results
    expect(again?.counterexample).toMatchObject({ found, shown })
    expect(again?.runs).toBe(1)
  })

  test('stand in the text of the report, and assertLaws throws it', () => {
    const report = check(broken, options)
    const text = formatReport(report)
    expect(text).toContain('✗ keepsLabelsUnique')
    expect(text).toContain('replay with { seed: ')
    expect(() => assertLaws(report)).toThrow(LawFailure)
    expect(() => assertLaws(report)).toThrow('broken on Net')
  })

  test('are found for two adapters that do not commute', () => {
    const law = commutesOnDisjoint(lora({ at: '**.fc2', rank: 1 }))
    expect(check(lora({ at: '**.fc1', rank: 1 }), { on: Net, laws: [law], runs: 10 }).passed).toBe(true)
    const merging = (model: never): unknown => merge(myTransform(model))
    expect(check(merging, { on: Net, laws: [commutesOnDisjoint(myTransform)], runs: 10 }).passed).toBe(false)
  })
})

describe('models', () => {
  const Bag = define('Bag', { words: embedding('vocab', 'd'), head: linear('d', 'out') }, (n, ids, ctx) => {
    const rows = lookup(ids, (n.words as never as { weight: never }).weight, ctx)
    return layer(n.head, mean(rows, { axes: 1 }), ctx)
  })

  test('of ids are given ids', () => {
    const report = check(lora({ at: 'head', rank: 1 }), { on: Bag, laws: [preservesOutputs], runs: 10 })
    expect(report.passed, formatReport(report)).toBe(true)
  })

  test('whose input cannot be guessed say so, and take `input`', () => {
    const Odd = define('Odd', { second: linear('b', 'c'), first: linear('a', 'b') }, (n, x, ctx) =>
      layer(n.second, layer(n.first, x, ctx), ctx),
    )
    const step = lora({ at: 'first', rank: 1 })
    const options = { on: Odd, laws: [preservesOutputs], runs: 10, dims: { a: 3, b: 5 } } as const
    const guessed = check(step, options)
    expect(guessed.results[0]?.why).toContain('pass { input }')
    const told = check(step, { ...options, input: ({ a = 1 }, batch) => ({ shape: [batch, a] }) })
    expect(told.passed, formatReport(told)).toBe(true)
  })

  test('have the lengths that are given', () => {
    const widths = new Set<number>()
    const look = structural({
      name: 'look',
      says: 'It looks.',
      equality: 'exact',
      check: ({ model }) => {
        widths.add((model as { fc1: { weight: { value: { shape: number[] } } } }).fc1.weight.value.shape[0]!)
        return verdict(true, '')
      },
    })
    check(freeze, { on: Net, laws: [look], dims: { in: [6, 7] }, runs: 40 })
    expect([...widths].toSorted((a, b) => a - b)).toEqual([6, 7])
    expect(fc.sample(trees(), 3)).toHaveLength(3)
  })
})
