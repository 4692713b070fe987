import { afterAll, describe, expect, test } from 'vitest'
import { freeze, key, lora, pipe, sllm } from '../../src/index.ts'
import { engine, reachable, read, release } from '../../src/ops/index.ts'
import type { EngineName } from '../../src/ops/index.ts'
import { adamw, collateTokens, fit, warmupCosine } from '../../src/train/index.ts'
import type { Fitted } from '../../src/train/index.ts'
import { numbers } from './models.ts'

const base = sllm.init({ ...sllm.config.seed, vocab_size: 40 }, key(0))
const model = pipe(base, freeze, lora({ at: ['**.ln_1', '**.c_proj'], rank: 4, alpha: 8, dropout: 0.1, key: key(1) }))
type Tuned = typeof model

const data = Array.from({ length: 6 }, (_, i) => ({
  ids: Array.from({ length: 3 + (i % 4) }, (__, j) => (i * 7 + j * j) % 40),
}))
const train = (epochs: number, resume?: Fitted<Tuned, unknown>): Promise<Fitted<Tuned, unknown>> =>
  fit(model, {
    data,
    collate: (examples) => collateTokens(examples),
    loss: (m, batch, ctx) => sllm.loss(m, batch, ctx),
    optimiser: adamw({ rate: warmupCosine({ peak: 0.01, warmup: 1, total: 5 }), clip: 1 }) as never,
    epochs,
    batchSize: 3,
    key: key(2),
    progress: false,
    ...(resume === undefined ? {} : { resume }),
  })

/** The engines that can be had here; the native one needs its own set-up. */
const available = async (): Promise<readonly EngineName[]> => {
  const names: EngineName[] = ['js', 'wasm']
  await engine({ prefer: 'native', quiet: true }).then(
    () => names.push('native'),
    () => undefined,
  )
  await engine({ prefer: 'js', quiet: true })
  return names
}

describe('the same training on every engine', async () => {
  const names = await available()
  const expected = await train(2)
  const losses = (run: Fitted<Tuned, unknown>): readonly number[] =>
    run.history.flatMap((r) => (r.kind === 'step' ? [r.loss] : []))

  afterAll(() => release([expected, base], { keep: [] }))

  test.each(names)('%s', async (name) => {
    await engine({ prefer: name, quiet: true })
    const whole = await train(2)
    losses(whole).forEach((loss, i) => expect(loss).toBeCloseTo(losses(expected)[i]!, 4))
    expect(losses(whole).at(-1)).toBeLessThan(losses(whole)[0]!)
    expect(whole.compiled.direct).toEqual([])
    expect(whole.compiled.graphs > 0).toBe(name === 'native')
    const resumed = await train(2, await train(1))
    expect(numbers(resumed.run.model)).toEqual(numbers(whole.run.model))
    expect(numbers(await train(2).then((again) => again.model))).toEqual(numbers(whole.model))
    expect(reachable(base).every((t) => read(t).length === t.size)).toBe(true)
  })
})
