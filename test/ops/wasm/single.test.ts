import { beforeAll, describe, expect, test } from 'vitest'
import { limitWasmHeap } from '../../../src/ops/budget.ts'
import { engine, matmul, read, scope, tensor, toArray, zeros } from '../../../src/ops/index.ts'
import { wasmKernels } from '../../../src/ops/wasm/index.ts'

beforeAll(() => engine({ prefer: 'wasm', quiet: true, threads: 1 }))

describe('the WASM engine with one thread', () => {
  test('has a memory that is not shared, and says why it cannot have more threads later', async () => {
    const { backend, helpers } = wasmKernels()
    expect(backend.wasm.HEAPU8.buffer).toBeInstanceOf(ArrayBuffer)
    expect(helpers).toEqual([])
    const { describe } = await engine({ quiet: true, threads: 2 })
    expect(describe).toMatch(/^WASM engine \(.*SIMD, one thread, because its memory is not shared\)$/)
    scope(() => expect(toArray(matmul(tensor([[2, 3]]), tensor([[5], [7]])))).toEqual([[31]]))
  })

  test('is reproducible on demand, and says so by what it does not name', async () => {
    const { describe } = await engine({ quiet: true, threads: 1, reproducible: true })
    expect(describe).toBe('WASM engine (SIMD, one thread)')
    expect(wasmKernels().fused).toBe(false)
    // (1 + 2^-12)^2 = 1 + 2^-11 + 2^-24, of which the last is lost when the product is rounded before it is added.
    const [x, y] = [tensor([[1, 1 + 2 ** -12]]), tensor([[-(1 + 2 ** -11)], [1 + 2 ** -12]])]
    scope(() => expect(toArray(matmul(x, y))).toEqual([[0]]))
  })

  test('refuses a result that its memory cannot hold, before it ends', () => {
    limitWasmHeap(1_000_000)
    expect(() => zeros([400_000])).toThrow(/OutOfMemory at fill[\s\S]*1600000 bytes/)
    limitWasmHeap()
    scope(() => expect(read(zeros([400_000])).length).toBe(400_000))
  })

  test('refuses a number of threads that is none', async () => {
    for (const threads of [0, -1, 1.5, Number.NaN, 1e9])
      await expect(engine({ prefer: 'wasm', threads })).rejects.toThrow(/EngineUnavailable.*threads/)
  })
})
