import { afterAll, expect, test } from 'vitest'
import {
  bytesAtRest,
  define,
  key,
  layer,
  linear,
  list,
  lora,
  materialize,
  quantize,
  valueAndGrad,
} from '../../src/index.ts'
import { context } from '../../src/index.ts'
import { engine, matmul, mean, memory, normal, release, square } from '../../src/ops/index.ts'
import type { EngineName, Tensor } from '../../src/ops/index.ts'
import { tf } from '../../src/ops/tf.ts'

const width = 96
const dense = width * width * 4

const Block = define('Block', { fc: linear('d', 'd', { bias: false }) }, (n, x, ctx) => layer(n.fc, x, ctx))
const Net = define('Net', { blocks: list(Block.field({ d: 'd' }), 'depth') }, (n, x, ctx) =>
  n.blocks.reduce((h, block) => layer(block, h, ctx), x),
)
const base = Net.init({ d: width, depth: 6 }, key(0))
const adapt = lora.unchecked({ at: '**', rank: 1 })
const x = normal(key(1), [2, width])

const engines: EngineName[] = ['js']
for (const name of ['wasm', 'native'] as const)
  await engine({ prefer: name, quiet: true }).then(
    () => engines.push(name),
    () => undefined,
  )
afterAll(() => engine({ prefer: 'js', quiet: true }))

/** The most bytes that tensors take at once while `f` runs. */
const peakOf = (f: () => unknown): number => {
  const watched = tf.engine() as unknown as { trackTensor: (...all: unknown[]) => void; state: { numBytes: number } }
  const track = watched.trackTensor
  let most = 0
  watched.trackTensor = (...all) => {
    track.apply(watched, all)
    most = Math.max(most, watched.state.numBytes)
  }
  try {
    f()
  } finally {
    watched.trackTensor = track
  }
  return most
}

/** What a gradient takes beside what was there: at the end of the forward pass, and at most. */
const costs = (model: unknown, run: (m: unknown, x: Tensor) => Tensor) => {
  let forward = 0
  const loss = (m: unknown): Tensor => {
    const value = mean(square(run(m, x)))
    forward = memory().bytes
    return value
  }
  const step = (): unknown => valueAndGrad<unknown, null>(loss)(model, null)
  release(step(), { keep: model })
  const before = memory().bytes
  const most = peakOf(() => release(step(), { keep: model }))
  return { taped: forward - before, most: most - before }
}

const ofNet = (m: unknown, input: Tensor): Tensor => Net.apply(m as never, input)

test.each(engines)('on %s, between the passes no dense weight is held, and at most one at any time', async (name) => {
  await engine({ prefer: name, quiet: true })
  const usual = costs(adapt(base), ofNet)
  for (const how of [{}, { doubleQuant: true }, { scheme: 'int8' }] as const) {
    const packed = adapt(quantize.unchecked({ at: '**', ...how })(base))
    const { taped, most } = costs(packed, ofNet)
    expect(taped).toBeLessThan(dense)
    expect(taped).toBeLessThanOrEqual(usual.taped)
    expect(most).toBeLessThanOrEqual(usual.most + dense)
  }
})

// What the test above would say of a weight that is dequantised by an op of its own.
test('a dense weight on the tape would show', () => {
  const packed = adapt(quantize.unchecked({ at: '**' })(base))
  const { taped } = costs(packed, (m, input) =>
    (m as { readonly blocks: readonly { readonly fc: { readonly weight: never } }[] }).blocks.reduce(
      (h, { fc }) => matmul(h, materialize(fc.weight, context())),
      input,
    ),
  )
  expect(taped).toBeGreaterThan(5 * dense)
})

test('at rest NF4 takes 0.5625 bytes a weight, or 0.52 with double quantisation, and int8 little more than 1', () => {
  const at = { at: '**' as string }
  const per = (model: unknown): number => bytesAtRest(model) / (6 * width * width)
  expect(per(quantize.unchecked(at)(base))).toBe(0.5625)
  expect(per(quantize.unchecked({ ...at, doubleQuant: true })(base))).toBeLessThan(0.5175)
  expect(per(quantize.unchecked({ ...at, scheme: 'int8' })(base))).toBe(1 + 4 / width)
})
