import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { adamw, define, equal, fit, freeze, key, layer, linear, lora, pipe } from '../../src/index.ts'
import type { FitOptions, FitRun } from '../../src/index.ts'
import { loadRun, orThrow, saveRun } from '../../src/io/index.ts'
import { crossEntropy, relu, tensor } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'

const Net = define('Net', { fc1: linear('in', 'hidden'), fc2: linear('hidden', 'out') }, (n, x, ctx) =>
  layer(n.fc2, relu(layer(n.fc1, x, ctx)), ctx),
)
const start = () =>
  pipe(Net.init({ in: 2, hidden: 5, out: 2 }, key(0)), freeze, lora({ at: ['fc1', 'fc2'], rank: 2, dropout: 0.2 }))
type Start = ReturnType<typeof start>
type Point = readonly [number, number, number]
const data: readonly Point[] = Array.from({ length: 10 }, (_, i) => [Math.sin(i), Math.cos(2 * i), i % 2])

test('a run that is saved, loaded in the middle of an epoch and gone on with ends as if never interrupted', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'espalier-run-'))
  const options = {
    data,
    collate: (points: readonly Point[]) => ({
      x: tensor(points.map(([a, b]) => [a, b])),
      y: tensor(
        points.map((p) => p[2]),
        [points.length],
        'int32',
      ),
    }),
    loss: (m: Start, { x, y }: { x: Tensor; y: Tensor }, ctx: object) => crossEntropy(Net.apply(m, x, ctx), y),
    optimiser: adamw({ rate: 0.05, clip: 1 }),
    epochs: 3,
    batchSize: 3,
    key: key(5),
  } satisfies FitOptions<Start, Point, { x: Tensor; y: Tensor }, ReturnType<ReturnType<typeof adamw>['init']>>

  const whole = await fit(start(), options)
  const interrupted = new AbortController()
  const first = await fit(start(), {
    ...options,
    signal: interrupted.signal,
    onStep: ({ step }) => void (step === 6 && interrupted.abort()),
  })
  expect(first.stopped).toBe('signal')
  await orThrow(saveRun(first.run, join(folder, 'run')))

  const run = (await orThrow(loadRun(join(folder, 'run')))) as FitRun<Start, never>
  const rest = await fit(start(), { ...options, resume: { run } })
  expect(equal(rest.model, whole.model)).toBe(true)
  expect(equal(rest.model, first.model)).toBe(false)
})
