import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  adamw,
  bake,
  collateTokens,
  define,
  equal,
  fit,
  freeze,
  key,
  layer,
  linear,
  lora,
  pipe,
  prefix,
  ptuning,
  sllm,
} from '../../src/index.ts'
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

test('with an encoder too, of which the rows alone would not do', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'espalier-run-'))
  const small = { ...sllm.config.seed, d_model: 4, d_head: 2, vocab_size: 6, context_window: 8, n_layers: 1 }
  const begin = () =>
    pipe(
      sllm.init(small, key(0)),
      freeze,
      ptuning({ length: 2, hidden: 2, encoder: 'lstm', layers: 1 }),
      prefix({ length: 2, projection: 3 }),
    )
  type Begun = ReturnType<typeof begin>
  const options = {
    data: Array.from({ length: 6 }, (_, i) => ({ ids: [i, (i + 1) % 6, (i + 2) % 6] })),
    collate: (examples: readonly { readonly ids: readonly number[] }[]) => collateTokens(examples),
    loss: (m: Begun, batch: ReturnType<typeof collateTokens>, ctx: object) => sllm.loss(m, batch, ctx),
    optimiser: adamw({ rate: 0.05 }),
    epochs: 2,
    batchSize: 2,
    key: key(5),
  }
  const whole = await fit(begin(), options)
  const interrupted = new AbortController()
  const first = await fit(begin(), {
    ...options,
    signal: interrupted.signal,
    onStep: ({ step }) => void (step === 4 && interrupted.abort()),
  })
  await orThrow(saveRun(first.run, join(folder, 'run')))
  const run = (await orThrow(loadRun(join(folder, 'run')))) as FitRun<Begun, never>
  const rest = await fit(begin(), { ...options, resume: { run } })
  expect(equal(rest.model, whole.model)).toBe(true)
  expect(equal(bake(rest.model), bake(whole.model))).toBe(true)
  expect(equal(rest.model, first.model)).toBe(false)
})
