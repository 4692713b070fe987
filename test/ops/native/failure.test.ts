import { afterEach, describe, expect, it, vi } from 'vitest'
import { apply, tensor, toArray, type Op } from '../../../src/ops/index.ts'
import { allowNativeKernels } from '../../../src/ops/native/custom.ts'
import { has, onNative } from './twins.ts'

onNative()
afterEach(() => {
  vi.restoreAllMocks()
  allowNativeKernels(true, true)
})

const failing = (name: string, reference: Op['reference'] = ([x]) => x!.data.map((v) => 2 * v)): Op => ({
  name,
  infer: ([x]) => x!,
  reference,
  own: { write: (to, inputs, _, output) => to.node('EspalierNoSuchKernel', inputs, {}, output) },
})

describe.runIf(has)('a kernel of our own that fails', () => {
  it('is replaced by the other way of its op, and told of once', () => {
    const said = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    allowNativeKernels(true)
    const op = failing('failing')
    for (let i = 0; i < 3; i++) expect(toArray(apply(op, [tensor([1, 2])], {}))).toEqual([2, 4])
    expect(said.mock.calls).toEqual([[expect.stringMatching(/native kernel of failing failed.*EspalierNoSuchKernel/s)]])
  })

  it('is not told of where the other way refuses the same, nor where nothing is to be said', () => {
    const said = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const refuse = (): never => {
      throw new Error('refused')
    }
    allowNativeKernels(true)
    expect(() => apply(failing('refusing', refuse), [tensor([1])], {})).toThrow('refused')
    allowNativeKernels(true, true)
    expect(toArray(apply(failing('quiet'), [tensor([1])], {}))).toEqual([2])
    expect(said).not.toHaveBeenCalled()
  })
})
