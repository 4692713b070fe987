import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { define, fit, freeze, key, layer, linear, lora, pipe } from '../../src/index.ts'
import { argmax, crossEntropy, equal, item, mean, memory, mul, relu, sum, tensor } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/ops/index.ts'
import { count, param } from '../../src/tree/index.ts'
import type { EspalierError } from '../../src/tree/index.ts'
import { adamw, sgd, warmupLinear } from '../../src/train/index.ts'
import type { FitOptions, Labelled } from '../../src/train/index.ts'

const model = () => ({ w: param('vector', 'w', tensor([2, -2])) })
type Model = ReturnType<typeof model>
const options = (): FitOptions<Model, number, Tensor, unknown> => ({
  data: [1, 2, 3, 4],
  collate: (xs) => tensor(xs),
  loss: (m, x) => mul(sum(mul(m.w.value, m.w.value)), mean(x)),
  optimiser: sgd({ rate: 0.01 }) as FitOptions<Model, number, Tensor, unknown>['optimiser'],
  epochs: 2,
  batchSize: 2,
  key: key(0),
  progress: false,
})

const issueOf = async (promise: Promise<unknown>): Promise<EspalierError['issues'][number]> => {
  const error = await promise.then(
    () => undefined,
    (e: unknown) => e as EspalierError,
  )
  if (error?.issues?.[0] === undefined) throw new Error('no issue', { cause: error })
  return error.issues[0]
}

describe('fit refuses, before anything is trained,', () => {
  test.each<[string, Partial<FitOptions<Model, number, Tensor, unknown>>]>([
    ['fit.data', { data: [] }],
    ['fit.collate', { collate: (async () => tensor([1])) as never }],
    ['fit.batchSize', { batchSize: 0 }],
    ['fit.batchSize', { batchSize: 1.5 }],
    ['fit.batchSize', { batchSize: Number.NaN }],
    ['fit.epochs', { epochs: -1 }],
    ['fit.epochs', { epochs: 0.5 }],
    ['fit.accumulate', { accumulate: 0 }],
    ['fit.patience', { patience: 2 }],
    ['fit.patience', { patience: 0, evaluate: () => ({ loss: 1 }) }],
    ['fit.evaluateEvery', { evaluateEvery: 2 }],
    ['fit.evaluateEvery', { evaluateEvery: 0, evaluate: () => ({ loss: 1 }) }],
    ['fit.saveEvery', { saveEvery: 1 }],
    ['fit.dropLast', { dropLast: true, batchSize: 5 }],
    ['/no/such/folder/metrics.jsonl', { metrics: '/no/such/folder/metrics.jsonl' }],
  ])('%s: %o', async (path, wrong) => {
    const alive = memory().tensors
    let steps = 0
    const given = model()
    const issue = await issueOf(fit(given, { ...options(), onStep: () => void (steps += 1), ...wrong }))
    expect(issue.path).toBe(path)
    expect(steps).toBe(0)
    expect(memory().tensors - alive).toBe(1)
  })

  test('a run of another key, model or optimiser', async () => {
    const first = await fit(model(), options())
    const resume = first
    const of = (other: Partial<FitOptions<Model, number, Tensor, unknown>>) =>
      issueOf(fit(model(), { ...options(), epochs: 3, resume, ...other }))
    expect((await of({ key: key(9) })).path).toBe('fit.resume.run.key')
    expect((await of({ accumulate: 2 })).path).toBe('fit.resume.run.state')
    const other = { w: param('vector', 'v', tensor([2, -2])) }
    expect((await issueOf(fit(other, { ...options(), resume }))).path).toBe('fit.resume.run.model')
  })
})

describe('fit', () => {
  test('names the step at which the loss is no longer finite', async () => {
    const given = { ...options(), epochs: 50, optimiser: sgd({ rate: 10 }) as never }
    const issue = await issueOf(fit(model(), given))
    expect(issue).toMatchObject({ _tag: 'NonFiniteLoss', path: expect.stringMatching(/^step \d+$/) })
  })

  test('notices that the last update of all has spoilt the parameters', async () => {
    const given = { ...options(), epochs: 1, batchSize: 4, optimiser: sgd({ rate: 1e38 }) as never }
    expect(await issueOf(fit(model(), given))).toMatchObject({ _tag: 'NonFiniteParameter', path: 'step 1' })
  })

  test('without epochs gives the model back as it is', async () => {
    const given = model()
    const result = await fit(given, { ...options(), epochs: 0 })
    expect(result.model).toBe(given)
    expect(result.history).toEqual([])
  })

  test('stops when patience is at its end, and gives the best model', async () => {
    const losses = [3, 1, 2, Number.NaN, 4, 0]
    let asked = 0
    const given = model()
    const result = await fit(given, {
      ...options(),
      epochs: 9,
      evaluate: () => ({ loss: losses[asked++]! }),
      evaluateEvery: 1,
      patience: 3,
    })
    expect(result.stopped).toBe('patience')
    expect(asked).toBe(5)
    expect(result.best).toMatchObject({ step: 2, metrics: { loss: 1 } })
    expect(item(result.run.count)).toBe(5)
  })

  test('the highest of another metric can be the best', async () => {
    const accuracies = [0.5, 0.75, 0.25, 0.5]
    let asked = 0
    const improved: boolean[] = []
    const result = await fit(model(), {
      ...options(),
      evaluate: () => ({ accuracy: accuracies[asked++]! }),
      evaluateEvery: 1,
      monitor: { metric: 'accuracy', best: 'highest' },
      onEvaluate: (event) => void improved.push(event.improved),
    })
    expect(improved).toEqual([true, true, false, false])
    expect(result.best!.step).toBe(2)
    const issue = await issueOf(fit(model(), { ...options(), evaluate: () => ({ accuracy: 1 }) }))
    expect(issue).toMatchObject({ _tag: 'MissingMetric', found: 'accuracy' })
  })

  test('frees no former best model that the run still shares tensors with', async () => {
    let calls = 0
    const once = {
      init: () => ({}),
      update: (grads: Labelled, state: object) => ({ updates: (calls += 1) === 1 ? grads : {}, state }),
    }
    let loss = 9
    const given = { ...options(), optimiser: once as never, evaluate: () => ({ loss: (loss -= 1) }), evaluateEvery: 1 }
    const result = await fit(model(), given)
    expect(result.best!.step).toBe(4)
    expect(result.best!.model.w.value).toBe(result.model.w.value)
    expect(result.model.w.value.isDisposed).toBe(false)
  })

  test('goes through all data in each epoch, each time in another order', async () => {
    const orders: number[][] = [[], [], []]
    await fit(model(), {
      ...options(),
      data: Array.from({ length: 40 }, (_, i) => i / 100),
      epochs: 3,
      batchSize: 8,
      collate: (xs) => {
        orders.find((order) => order.length < 40)!.push(...xs)
        return tensor(xs)
      },
    })
    expect(new Set(orders.map(String)).size).toBe(3)
    for (const order of orders) expect(order.toSorted((a, b) => a - b)).toEqual(orders[0]!.toSorted((a, b) => a - b))
    expect(new Set(orders[0]).size).toBe(40)
  })

  test('stops at a signal, also one that was there before', async () => {
    const signal = AbortSignal.abort()
    const given = model()
    const result = await fit(given, { ...options(), signal })
    expect(result).toMatchObject({ stopped: 'signal', model: given, history: [] })
  })

  test('appends a line of JSON for each step and evaluation', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'espalier-fit-'))
    const metrics = join(folder, 'metrics.jsonl')
    const given = { ...options(), metrics, tokens: (x: Tensor) => x.size, evaluate: () => ({ loss: 7 }) }
    const { history } = await fit(model(), given)
    await fit(model(), { ...given, epochs: 1 })
    const lines = (await readFile(metrics, 'utf8')).trimEnd().split('\n')
    await rm(folder, { recursive: true })
    const rows = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(rows.length).toBe(history.length + 3)
    rows.slice(0, history.length).forEach((row, i) => expect(row).toMatchObject(history[i]!))
    expect(rows[0]).toMatchObject({ tokens: 2, seconds: expect.any(Number) })
  })

  test('lends each run to be saved, which is freed afterwards', async () => {
    const counts: number[] = []
    const lent: Tensor[] = []
    await fit(model(), {
      ...options(),
      saveEvery: 3,
      save: async (run) => {
        await Promise.resolve()
        counts.push(item(run.count))
        lent.push(run.model.w.value)
      },
    })
    expect(counts).toEqual([3, 4])
    expect(lent.map((t) => t.isDisposed)).toEqual([true, false])
  })

  test('lets timers run meanwhile', async () => {
    let ticks = 0
    const timer = setInterval(() => (ticks += 1), 5)
    const given = options()
    await fit(model(), {
      ...given,
      epochs: 4,
      loss: (m, x, ctx) => {
        const until = performance.now() + 30
        while (performance.now() < until);
        return given.loss(m, x, ctx)
      },
    })
    clearInterval(timer)
    expect(ticks).toBeGreaterThan(1)
  })

  test('trains a LoRA adapter of a user-defined model until it tells two classes apart', async () => {
    const Net = define('Net', { fc1: linear('in', 'hidden'), fc2: linear('hidden', 'out') }, (n, x, ctx) =>
      layer(n.fc2, relu(layer(n.fc1, x, ctx)), ctx),
    )
    const tuned = pipe(
      Net.init({ in: 2, hidden: 16, out: 2 }, key(0)),
      freeze,
      lora({ at: '**', rank: 2, key: key(1) }),
    )
    const data = Array.from({ length: 64 }, (_, i) => [Math.cos(i * 2.4), Math.sin(i * 2.4)] as const).map((x) => ({
      x,
      y: x[0] + x[1] > 0 ? 1 : 0,
    }))
    const collate = (examples: readonly (typeof data)[number][]) => ({
      x: tensor(examples.map((e) => e.x)),
      y: tensor(
        examples.map((e) => e.y),
        undefined,
        'int32',
      ),
    })
    const accuracy = (m: typeof tuned): number => {
      const { x, y } = collate(data)
      return item(mean(equal(argmax(Net.apply(m, x)), y)))
    }
    const result = await fit(tuned, {
      data,
      collate,
      loss: (m, { x, y }, ctx) => crossEntropy(Net.apply(m, x, ctx), y),
      optimiser: adamw({ rate: warmupLinear({ peak: 0.05, warmup: 4, total: 80 }), weightDecay: 0 }),
      epochs: 20,
      batchSize: 16,
      key: key(2),
      evaluate: (m) => ({ accuracy: accuracy(m) }),
      monitor: { metric: 'accuracy', best: 'highest' },
      progress: false,
    })
    expect(accuracy(result.best!.model)).toBeGreaterThan(0.95)
    expect(count(result.model)).toEqual(count(tuned))
    expect(result.model.fc1.weight.base).toBe(tuned.fc1.weight.base)
  })
})
