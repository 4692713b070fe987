import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { apply, tensor, toArray, type Op } from '../../../src/ops/index.ts'
import { allowNativeKernels } from '../../../src/ops/native/custom.ts'
import { has, onNative } from './twins.ts'

onNative()
afterAll(() => allowNativeKernels(true))

const failing = (name: string, reference: Op['reference'] = ([x]) => x!.data.map((v) => 2 * v)): Op => ({
  name,
  infer: ([x]) => x!,
  reference,
  own: { write: (to, inputs, _, output) => to.node('EspalierNoSuchKernel', inputs, {}, output) },
})

describe.runIf(has)('a kernel of our own that fails', () => {
  const told: string[] = []
  beforeEach(() => {
    told.length = 0
    allowNativeKernels(true, (line) => told.push(line))
  })

  it('is replaced by the other way of its op, and told of once', () => {
    const op = failing('failing')
    for (let i = 0; i < 3; i++) expect(toArray(apply(op, [tensor([1, 2])], {}))).toEqual([2, 4])
    expect(told).toEqual([expect.stringMatching(/native kernel of failing failed.*EspalierNoSuchKernel/s)])
  })

  it('is not told of where the other way refuses the same', () => {
    const refuse = (): never => {
      throw new Error('refused')
    }
    expect(() => apply(failing('refusing', refuse), [tensor([1])], {})).toThrow('refused')
    expect(told).toEqual([])
  })
})
