import { describe, expect, test } from 'vitest'
import { startWasm } from './product.ts'
import { array, noise, twins } from './twins.ts'

const head = { ignore: -100, transpose: false, biased: false, cap: 0, slope: true }
const scores = { scale: 0.3, cap: 0, rate: 0.2, hi: 1, lo: 2, masked: false, seeded: false }
const rows = (seed: number, ...shape: readonly number[]) =>
  array(
    noise(
      seed,
      shape.reduce((product, length) => product * length, 1),
    ),
    shape,
  )
const labels = array(Int32Array.from({ length: 133 }, (_, row) => (row % 5 === 0 ? -100 : row * 13)))

/** Large enough that there is a part for each thread. */
const calls = {
  headLoss: () => twins('headLoss', [rows(1, 133, 67), rows(2, 67, 2051), labels], head),
  attention: () => twins('attention', [rows(1, 2, 6, 70, 33), rows(2, 2, 3, 71, 33), rows(3, 2, 3, 71, 9)], scores),
  attentionSlope: () => {
    const [q, k, v] = [rows(1, 2, 6, 70, 33), rows(2, 2, 3, 71, 33), rows(3, 2, 3, 71, 9)]
    return twins('attentionSlope', [q, k, v, rows(4, 2, 6, 70, 9), rows(5, 2, 6, 70, 9)], scores)
  },
  layerNorm: () => twins('layerNorm', [rows(1, 1201, 77)], { eps: 1e-5, scaled: false, shifted: false }),
  gelu: () => twins('gelu', [rows(1, 100_003)]),
  softmax: () => twins('softmax', [rows(1, 1201, 77)], { masked: false }),
  dropout: () => twins('dropout', [rows(1, 100_003)], { rate: 0.3, hi: 3, lo: 4 }),
}

describe.each([true, false])('threads of the WASM engine, reproducible: %s', (reproducible) => {
  test.each(Object.entries(calls))('change no bit of %s', async (_, call) => {
    await startWasm({ threads: 1, reproducible })
    const alone = call().found
    for (const threads of [2, 5]) {
      await startWasm({ threads, reproducible })
      expect(call().found).toEqual(alone)
    }
  })
})
