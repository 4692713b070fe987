import * as tf from '@tensorflow/tfjs'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { allocate, installWasmKernels, parallel, wasmKernels } from '../../../src/ops/wasm/index.ts'
import { compute, definition, type Product, startWasm } from './product.ts'

const product: Product = {
  batch: [],
  rightBatched: false,
  m: 256,
  n: 256,
  k: 256,
  transposeA: false,
  transposeB: false,
  seed: 1,
}

const active = (): readonly string[] =>
  process.getActiveResourcesInfo().filter((name) => /Worker|MessagePort/.test(name))
const alive = active()

beforeAll(() => startWasm({ threads: 2 }))
beforeEach(() => installWasmKernels({ threads: 2, reproducible: false }))

describe('threads of the WASM engine', () => {
  test('do not keep the program running, and leave no trace in its globals', () => {
    expect(wasmKernels().helpers.length).toBe(1)
    expect(active()).toEqual(alive)
    expect('Worker' in globalThis).toBe(false)
  })

  test('each run one part: together all pieces, in steps', () => {
    const parts = new Map<number, number>()
    const { backend, scratch } = wasmKernels()
    const c = allocate(backend, 1000 * 4, 'test')
    // A product of one column and one depth: c[i] = 1 * 1.
    const one = tf.ones([1])
    const at = backend.getMemoryOffset(one.dataId)
    parallel(
      'matmul',
      1000,
      1e6,
      (first, count) => {
        parts.set(first, count)
        return [1, count, 1, 1, at, 0, 0, 1, at, 0, 1, 1, c + 4 * first, 1]
      },
      16,
    )
    expect(parts).toEqual(
      new Map([
        [0, 512],
        [512, 488],
      ]),
    )
    expect([...new Float32Array(backend.wasm.HEAPU8.buffer, c, 1000)]).toEqual(Array.from({ length: 1000 }, () => 1))
    expect(scratch).toBeGreaterThan(0)
    backend.wasm._free(c)
  })

  test('that trap are an error here, at once, and the next product is right', () => {
    const beyond = 2 ** 32 - 65536
    const lost = [1, 8, 8, 8, beyond, 0, 8, 1, beyond, 0, 8, 1, beyond, 8] as const
    const { helpers } = wasmKernels()
    const { thread, scratch } = helpers[0]!
    thread.post('matmul', [...lost, scratch])
    expect(thread.wait(5000)).toBe('failed')
    // Trapped there, or here after it was taken back.
    const both = (): void => parallel('matmul', 2, 1e9, () => [...lost])
    expect(both).toThrow(expect.objectContaining({ name: 'RuntimeError' }))
    const { value } = definition(product)
    const { data } = compute(product)
    expect(Math.max(...data.map((x, i) => Math.abs(x - value[i]!)))).toBeLessThan(1e-3)
  })

  test('that do not answer are not waited for forever', async () => {
    await installWasmKernels({ threads: 1 })
    await installWasmKernels({ threads: 2 })
    const { thread } = wasmKernels().helpers[0]!
    thread.post('gatherRows', [0, 4, 0, 0, 0, 0])
    expect(thread.wait(5000)).toBe('done')
    await thread.stop()
    thread.post('gatherRows', [0, 4, 0, 0, 0, 0])
    const start = performance.now()
    expect(thread.wait(40)).toBe('silent')
    expect(performance.now() - start).toBeLessThan(2000)
    // What it has not begun is done here.
    expect(thread.takeBack()).toBe(true)
    expect(thread.wait(0)).toBe('done')
    expect(thread.takeBack()).toBe(false)
    const { value } = definition(product)
    const { data } = compute(product)
    expect(Math.max(...data.map((x, i) => Math.abs(x - value[i]!)))).toBeLessThan(1e-3)
    await installWasmKernels({ threads: 1 })
  })

  test('can be more or fewer later; the memory of those that go comes back', async () => {
    const { backend } = wasmKernels()
    const cycle = async (): Promise<number> => {
      for (const threads of [4, 1, 2]) {
        await installWasmKernels({ threads })
        expect(wasmKernels().helpers.length).toBe(threads - 1)
      }
      return backend.wasm.HEAPU8.length
    }
    const heap = await cycle()
    for (let i = 0; i < 8; i++) expect(await cycle()).toBe(heap)
  })
})
