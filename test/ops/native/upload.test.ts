import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adopt, currentEngine, engine, read, release } from '../../../src/ops/index.ts'
import { giveBack } from '../../../src/ops/native/upload.ts'

const has = await engine({ prefer: 'native', quiet: true }).then(
  () => true,
  () => false,
)

beforeAll(() => engine({ prefer: has ? 'native' : 'js', quiet: true }))
afterAll(() => engine({ prefer: 'js', quiet: true }))

const numbers = (size: number, from: number): Float32Array => Float32Array.from({ length: size }, (_, i) => from + i)

describe.runIf(has)('arrays that TensorFlow was given', () => {
  test('leave their tensors as they were, whether it took them or copied them', async () => {
    const sizes = Array.from({ length: 60 }, (_, i) => 2 ** 14 + 5 * i)
    const made = sizes.map((size, i) => {
      const data = numbers(size, i)
      const tensor = adopt(data, [size])
      void giveBack(data, tensor)
      return tensor
    })
    await new Promise((resolve) => setTimeout(resolve, 20))
    const churn = sizes.map((size) => new Float32Array(size).fill(NaN))
    made.forEach((tensor, i) => expect(read(tensor)).toEqual(numbers(sizes[i]!, i)))
    expect(churn.length).toBe(made.length)
    release(made, { keep: [] })
  })

  test('are gone where there is a copy, and stay where there is none or they are part of more', () => {
    const whole = new Float32Array(2 ** 22)
    const tensor = adopt(whole, [whole.length])
    void giveBack(whole, tensor)
    const part = new Float32Array(2 ** 21).subarray(0, 2 ** 20)
    const other = adopt(part, [part.length])
    void giveBack(part, other)
    expect([0, 2 ** 22]).toContain(whole.length)
    expect(part.length).toBe(2 ** 20)
    expect(currentEngine()).toBe('native')
    release([tensor, other], { keep: [] })
  })
})
