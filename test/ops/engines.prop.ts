import { fc, test } from '@fast-check/vitest'
import { afterAll, describe, expect } from 'vitest'
import type { EngineName, Tensor } from '../../src/ops/index.ts'
import { currentEngine, engine, memory, read, release, scope } from '../../src/ops/index.ts'
import { distance, gradientsOf, outputsOf, toTensor } from './op-laws.ts'
import { type Case, type Entry, opTable } from './op-table.ts'

const available = async (name: EngineName): Promise<boolean> =>
  engine({ prefer: name, quiet: true }).then(
    () => true,
    () => false,
  )

// Native is tested wherever it is installed; WASM is on every machine, so its absence is a failure.
const accelerated: readonly EngineName[] = (await available('native')) ? ['wasm', 'native'] : ['wasm']

afterAll(() => engine({ prefer: 'js', quiet: true }))

interface Result {
  readonly outputs: readonly (readonly number[])[]
  readonly gradients: readonly (readonly number[] | null)[]
}

const run = (entry: Entry, c: Case): Result => ({
  outputs: scope(() => outputsOf(entry, c.inputs.map(toTensor), c.attrs).map((output) => [...read(output)])),
  gradients: gradientsOf(entry, c),
})

describe.each(accelerated)('%s', (name) => {
  describe.each(opTable)('$name', (entry) => {
    test.prop([fc.array(entry.cases, { minLength: 30, maxLength: 30 })], { numRuns: 4 })(
      'computes what plain JavaScript computes, and leaves nothing behind',
      async (cases) => {
        await engine({ prefer: 'js', quiet: true })
        const expected = cases.map((c) => run(entry, c))
        await engine({ prefer: name, quiet: true })
        expect(currentEngine()).toBe(name)
        cases.forEach((c, i) => {
          const before = memory().tensors
          const found = run(entry, c)
          expect(memory().tensors).toBe(before)
          const whole = scope(() =>
            outputsOf(entry, c.inputs.map(toTensor), c.attrs).map(({ dtype }) => dtype !== 'float32'),
          )
          found.outputs.forEach((output, at) =>
            expect(distance(output, expected[i]!.outputs[at]!)).toBeLessThanOrEqual(whole[at] ? 0 : 2e-5),
          )
          found.gradients.forEach((grad, at) => {
            expect(grad === null).toBe(expected[i]!.gradients[at] === null)
            expect(distance(grad ?? [], expected[i]!.gradients[at] ?? [])).toBeLessThanOrEqual(1e-4)
          })
        })
      },
    )

    test.prop([entry.cases])('reads its inputs without changing them', async (c) => {
      await engine({ prefer: name, quiet: true })
      const inputs: readonly Tensor[] = c.inputs.map(toTensor)
      const outputs = outputsOf(entry, inputs, c.attrs)
      inputs.forEach((input, i) => expect([...read(input)]).toEqual([...c.inputs[i]!.data]))
      expect(outputs.length).toBeGreaterThan(0)
      release([inputs, outputs], { keep: [] })
    })
  })
})
