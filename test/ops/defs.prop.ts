import { fc, test } from '@fast-check/vitest'
import { describe, expect } from 'vitest'
import * as defs from '../../src/ops/defs/index.ts'
import { allOps } from '../../src/ops/defs/all.ts'
import type { Tensor } from '../../src/ops/index.ts'
import { memory, read, record, release, replay, vjp } from '../../src/ops/index.ts'
import {
  distance,
  finiteDifferences,
  gradientsOf,
  outputsOf,
  secondDifferences,
  secondGradients,
  toTensor,
  variablesOf,
} from './op-laws.ts'
import { opTable } from './op-table.ts'

const zerosFor = (sizes: readonly number[]): readonly (readonly number[])[] =>
  sizes.map((size) => Array.from({ length: size }, () => 0))

describe('the table', () => {
  test('has every exported op, once', () => {
    expect(opTable.map(({ name }) => name).toSorted()).toEqual(Object.keys(defs).toSorted())
  })

  test('reaches every op there is, those behind gradients included', () => {
    const seen = new Set<string>()
    for (const entry of opTable)
      for (const { inputs, attrs } of fc.sample(entry.cases, { numRuns: 40, seed: 1 })) {
        const pass = (...tensors: readonly Tensor[]): readonly Tensor[] => {
          const variables = tensors.filter(({ dtype }) => dtype === 'float32')
          const outputs = outputsOf(entry, tensors, attrs)
          const grads = outputs.flatMap((y) =>
            y.dtype === 'float32' ? vjp(() => outputsOf(entry, tensors, attrs)[0]!, variables, outputs[0]!).grads : [],
          )
          return [...outputs, ...grads.filter((grad) => grad !== null)]
        }
        for (const { name } of record(pass, ...inputs).nodes) seen.add(name)
      }
    expect(allOps.map(({ name }) => name).filter((name) => !seen.has(name))).toEqual([])
  })
})

describe.each(opTable)('$name', (entry) => {
  test.prop([entry.cases])('its shape rule and a recording of it give what a run gives', (c) => {
    const inputs = c.inputs.map(toTensor)
    const outputs = outputsOf(entry, inputs, c.attrs)
    const graph = record((...symbols) => outputsOf(entry, symbols, c.attrs), ...c.inputs)
    const replayed = replay(graph, inputs)
    const specs = new Map([...graph.inputs, ...graph.nodes].map(({ id, spec }) => [id, spec]))
    outputs.forEach((output, i) => {
      const spec = specs.get(graph.outputs[i]!)!
      expect({ shape: output.shape, dtype: output.dtype }).toEqual({ shape: spec.shape, dtype: spec.dtype })
      expect(read(replayed[i]!)).toEqual(read(output))
    })
    release([inputs, outputs, replayed], { keep: [] })
  })

  test.prop([entry.cases])('leaves its inputs as they were, and nothing behind', (c) => {
    const inputs = c.inputs.map(toTensor)
    const variables = inputs.filter(({ dtype }) => dtype === 'float32')
    const before = memory().tensors
    const outputs = outputsOf(entry, inputs, c.attrs)
    expect(memory().tensors - before).toBe(outputs.length)
    const [first] = outputs
    if (first!.dtype === 'float32') {
      const atGradient = memory().tensors
      const { value, grads } = vjp(() => outputsOf(entry, inputs, c.attrs)[0]!, variables, first!)
      const made = [value, ...grads.filter((grad) => grad !== null)]
      expect(memory().tensors - atGradient).toBe(made.length)
      release(made, { keep: [] })
    }
    release(outputs, { keep: [] })
    expect(memory().tensors).toBe(before)
    inputs.forEach((input, i) => expect([...read(input)]).toEqual([...c.inputs[i]!.data]))
    release(inputs, { keep: [] })
  })

  test.prop([entry.cases])('its gradient has the shapes of its inputs, and agrees with finite differences', (c) => {
    const grads = gradientsOf(entry, c)
    const sizes = variablesOf(c).map((i) => c.inputs[i]!.data.length)
    grads.forEach((grad, i) => expect(grad?.length ?? sizes[i]).toBe(sizes[i]))
    const expected = entry.constant ? zerosFor(sizes) : finiteDifferences(entry, c)
    grads.forEach((grad, i) => expect(distance(grad ?? zerosFor(sizes)[i]!, expected[i]!)).toBeLessThan(1e-3))
    expect(grads).toHaveLength(expected.length)
  })

  if (!entry.constant)
    test.prop([entry.cases], { numRuns: 20 })('the gradient of its gradient agrees with finite differences', (c) => {
      const grads = secondGradients(entry, c)
      const expected = secondDifferences(entry, c)
      grads.forEach((grad, i) =>
        expect(distance(grad ?? zerosFor([expected[i]!.length])[0]!, expected[i]!)).toBeLessThan(3e-3),
      )
      expect(grads).toHaveLength(expected.length)
    })
})
