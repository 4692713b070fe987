import { fc, test } from '@fast-check/vitest'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import type { Tensor } from '../../../src/ops/index.ts'
import { compile, engine, gradients, memory, mul, read, release, scope, sum } from '../../../src/ops/index.ts'
import { hasNativeKernels } from '../../../src/ops/native/custom.ts'
import { distance, outputsOf, toTensor, variablesOf } from '../op-laws.ts'
import { type Case, type Entry, opTable } from '../op-table.ts'

const hasNative = await engine({ prefer: 'native', quiet: true }).then(
  () => true,
  () => false,
)

beforeAll(() => engine({ prefer: hasNative ? 'native' : 'js', quiet: true }))
afterAll(() => engine({ prefer: 'js', quiet: true }))

// What has no node in a graph: its function runs op by op, with the op as the reason.
const always = ['solve']
const withoutKernels = ['matmulPacked', 'unpack', 'gatherPacked', 'dropout', 'attention']
const direct = new Set(hasNativeKernels() ? always : [...always, ...withoutKernels])

/** The outputs of an op, and the gradients of the sum of their squares: what training would ask of it. */
const all =
  (entry: Entry, { attrs, ...c }: Case) =>
  (inputs: readonly Tensor[]): readonly (Tensor | null)[] => {
    const outputs = outputsOf(entry, inputs, attrs)
    const variables = variablesOf({ ...c, attrs }).map((i) => inputs[i]!)
    if (variables.length === 0 || outputs.some(({ dtype }) => dtype !== 'float32')) return outputs
    const loss = (): Tensor =>
      outputsOf(entry, inputs, attrs)
        .map((output) => sum(mul(output, output)))
        .reduce((total, part) => mul(total, part))
    return [...outputs, ...gradients(loss, variables).grads]
  }

describe.runIf(hasNative)('compile(f) = f on the native engine', () => {
  test.each(opTable)('$name', (entry) => {
    const found: string[] = []
    fc.assert(
      fc.property(entry.cases, (c) => {
        const inputs = c.inputs.map(toTensor)
        const before = memory().tensors
        const f = all(entry, c)
        const compiled = compile(f)
        const expected = scope(() => f(inputs).map((t) => (t === null ? [] : [...read(t)])))
        for (let call = 0; call < 2; call++) {
          const given = scope(() => compiled(inputs).map((t) => (t === null ? [] : [...read(t)])))
          expect(given.length).toBe(expected.length)
          given.forEach((output, i) => expect(distance(output, expected[i]!)).toBeLessThanOrEqual(1e-4))
        }
        found.push(...compiled.report().direct)
        compiled.free()
        expect(memory().tensors).toBe(before)
        inputs.forEach((input) => scope(() => expect(input.isDisposed).toBe(false)))
      }),
      { numRuns: 12 },
    )
    // Attention asks for a mask of dropout in some cases only.
    const reasons = [...new Set(found)].filter((reason) => !(direct.has(entry.name) && reason.includes('has no node')))
    expect(reasons).toEqual([])
    expect(found.length > 0 || !always.includes(entry.name)).toBe(true)
  })
})

const odd = fc.constantFrom(NaN, Infinity, -Infinity, -0)

/** NaN, an infinity, a zero with its sign, or any other number. */
const sort = (x: number): string => (Number.isFinite(x) && x !== 0 ? 'a number' : Object.is(x, -0) ? '-0' : String(x))

describe.runIf(hasNative)('what is no number is none in a graph either', () => {
  test.each(opTable.filter(({ name }) => !direct.has(name)))('$name', (entry) => {
    fc.assert(
      fc.property(entry.cases, odd, fc.nat(), (c, value, place) => {
        const at = variablesOf(c)
        const inputs = c.inputs.map(({ data, ...input }, i) =>
          toTensor({ ...input, data: i === at[0] ? data.with(place % data.length, value) : data }),
        )
        const f = (given: readonly Tensor[]): readonly Tensor[] => outputsOf(entry, given, c.attrs)
        const compiled = compile(f)
        const sorts = (run: typeof f) => scope(() => run(inputs).map((t) => [...read(t)].map(sort)))
        expect(sorts(compiled)).toEqual(sorts(f))
        compiled.free()
        scope(() => release(inputs, { keep: [] }))
      }),
      { numRuns: 12 },
    )
  })
})
