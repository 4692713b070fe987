import { add, item, mul, scalar, sum } from '../ops/index.ts'
import { isPromise } from '../ops/internal.ts'
import { fail } from '../tree/error.ts'
import { fold } from '../tree/key.ts'
import { accumulate } from './accumulate.ts'
import type { Accumulated } from './accumulate.ts'
import { batches } from './data.ts'
import { requireTrainable } from './grad.ts'
import type { NeedsTrainable } from './grad.ts'
import { standing } from './history.ts'
import type { EvaluationRecord, History, Metrics, Monitor, StepRecord } from './history.ts'
import { requireResumable, stepsPerEpoch } from './options.ts'
import type { Best, FitOptions, FitRun, Fitted } from './options.ts'
import type { Optimiser } from './optimiser.ts'
import { owned } from './owned.ts'
import { report } from './report.ts'
import type { Extent, Reporter } from './report.ts'
import { requireSetting } from './schedule.ts'
import { begin, stepper } from './step.ts'

/**
 * Trains a model: batches in an order drawn from the key, steps, evaluations, early stop, progress and metrics.
 *
 * The model given stays as it was and alive, and so does whatever a callback has asked to keep; `fit` frees the runs in
 * between, and on an error all that it made. The same key gives the same weights on one engine, and a resumed run those
 * of one that was never interrupted.
 *
 * Errors, before anything is trained: `InvalidSetting`, `NothingTrainable`, `ResumeMismatch`, `MetricsFile`. Later:
 * `NonFiniteLoss` and `NonFiniteParameter` with the step, `UnreachedParameter`, `MissingMetric`, and those of the loss.
 *
 * @example
 * ```ts
 * import { define, fit, key, linear, layer, sgd } from 'espalier'
 * import { mean, square, sub, tensor } from 'espalier/ops'
 *
 * const Line = define('Line', { line: linear('in', 'out') }, (n, x, ctx) => layer(n.line, x, ctx))
 * const { history } = await fit(Line.init({ in: 1, out: 1 }, key(0)), {
 *   data: [0, 1, 2, 3].map((x) => ({ x, y: 2 * x + 1 })),
 *   collate: (points) => ({ x: tensor(points.map((p) => [p.x])), y: tensor(points.map((p) => [p.y])) }),
 *   loss: (model, { x, y }, ctx) => mean(square(sub(Line.apply(model, x, ctx), y))),
 *   optimiser: sgd({ rate: 0.1 }),
 *   epochs: 200,
 *   batchSize: 4,
 *   key: key(1),
 * })
 * history.length // => 200
 * const last = history.at(-1)!
 * last.kind === 'step' && last.loss < 0.001 // => true
 * ```
 */
export const fit = async <M, T, B, S>(
  model: M & NeedsTrainable<M>,
  options: FitOptions<NoInfer<M>, T, B, S>,
): Promise<Fitted<M, S>> => {
  const perEpoch = stepsPerEpoch(options)
  requireTrainable(model)
  const { collate, loss, epochs, evaluate, key, resume, save, tokens } = options
  const { evaluateEvery = perEpoch, saveEvery = perEpoch, patience = Infinity, monitor = lowestLoss } = options
  const optimiser = optimiserOf(options)
  if (resume !== undefined) requireResumable<M, S>(resume.run, model, optimiser, key)

  const advance = stepper<M, B, S | Accumulated<S>>(optimiser, loss, options)
  const own = owned()
  const total = epochs * perEpoch
  const history: History[number][] = [...(resume?.history ?? [])]
  let run: FitRun<M, S> = resume?.run ?? own.make(() => begin<M, S | Accumulated<S>>(model, optimiser, key))
  let best: Best<M> | undefined = resume?.best
  let stopped: Fitted<M, S>['stopped'] = 'done'
  const from = item(run.count)
  const keep = (): FitRun<M, S> => {
    own.handOut(run)
    return run
  }

  const takeStep = (examples: readonly T[], step: number): { readonly loss: number; readonly size: number } => {
    const next = own.make(() => {
      const batch = collate(examples)
      requireSetting('fit.collate', 'one that returns a promise', !isPromise(batch), 'a function that returns a batch')
      const { loss: value, ...after } = advance(run, batch, `step ${step}`)
      return { run: after, loss: item(value!), size: tokens === undefined ? examples.length : tokens(batch) }
    })
    own.drop(run, [next.run, best])
    run = next.run
    return next
  }

  const judge = (judged: (model: M) => Metrics, at: Moment): EvaluationRecord => {
    const metrics = own.make(() => ({ ...judged(run.model) }))
    requireMetric(metrics, monitor)
    const record: EvaluationRecord = { kind: 'evaluation', ...at, metrics }
    history.push(record)
    const { best: leader, since } = standing(history, monitor)
    if (leader === record) {
      own.drop(best, run)
      best = { model: run.model, step: at.step, metrics }
    }
    if (since >= patience && at.step < total) stopped = 'patience'
    return record
  }

  let reporter: Reporter | undefined
  try {
    reporter = await report(options, { from, total, perEpoch })
    for (const { examples, ...at } of upcoming(options, { from, total, perEpoch })) {
      if (options.signal?.aborted === true) stopped = 'signal'
      if (stopped !== 'done') {
        // What was learnt since the last save would be lost.
        if (save !== undefined && (at.step - 1) % saveEvery !== 0) await save(run)
        break
      }
      const { loss: value, size } = takeStep(examples, at.step)
      const record: StepRecord = { kind: 'step', ...at, loss: value }
      history.push(record)
      await reporter.step(record, size)
      await options.onStep?.({ ...record, keep })
      const due = (every: number): boolean => at.step % every === 0 || at.step === total
      if (evaluate !== undefined && due(evaluateEvery)) {
        const evaluation = judge(evaluate, at)
        await reporter.evaluation(evaluation)
        await options.onEvaluate?.({ ...evaluation, improved: best?.step === at.step, keep })
      }
      if (save !== undefined && due(saveEvery)) {
        own.make(() => requireFiniteModel(run))
        await save(run)
      }
    }
    own.make(() => requireFiniteModel(run))
  } catch (error) {
    own.dropAll()
    throw error
  } finally {
    await reporter?.end()
  }
  const compiled = advance.report()
  return { model: run.model, ...(best === undefined ? {} : { best }), history, run, stopped, compiled }
}

/** When something happens: steps and epochs count from 1. */
type Moment = Pick<StepRecord, 'step' | 'epoch'>

/** The batches still to come: their order depends on the key and the epoch alone, so that a run can be taken up again. */
function* upcoming<T>(
  {
    data,
    batchSize,
    dropLast = false,
    key,
  }: Pick<FitOptions<never, T, never, never>, 'data' | 'batchSize' | 'dropLast' | 'key'>,
  { from, total, perEpoch }: Extent,
): Generator<Moment & { readonly examples: readonly T[] }> {
  for (let epoch = Math.floor(from / perEpoch); epoch * perEpoch < total; epoch += 1) {
    const order = batches(data, { size: batchSize, key: fold(fold(key, 'order'), epoch), dropLast })
    for (const [i, examples] of order.entries()) {
      const step = epoch * perEpoch + i + 1
      if (step > from) yield { step, epoch: epoch + 1, examples }
    }
  }
}

const lowestLoss: Monitor = { metric: 'loss', best: 'lowest' }

const optimiserOf = <M, T, B, S>(options: FitOptions<M, T, B, S>): Optimiser<S | Accumulated<S>> => {
  const n = options.accumulate ?? 1
  return (n === 1 ? options.optimiser : accumulate(n, options.optimiser)) as Optimiser<S | Accumulated<S>>
}

const requireMetric = (metrics: Readonly<Record<string, number>>, { metric }: Monitor): void => {
  if (typeof metrics[metric] !== 'number')
    fail({
      _tag: 'MissingMetric',
      path: 'fit.monitor',
      expected: `a number named "${metric}" from evaluate`,
      found: Object.keys(metrics).join(', ') || 'no metrics',
      hint: "Name another one: monitor: { metric: 'accuracy', best: 'highest' }.",
    })
}

// The loss tells of a bad step only at the next one, and after the last there is none.
const requireFiniteModel = ({ model, count }: FitRun<unknown, unknown>): void => {
  const zero = Object.values(requireTrainable(model)).reduce((total, x) => add(total, sum(mul(x, 0))), scalar(0))
  if (!Number.isFinite(item(zero)))
    fail({
      _tag: 'NonFiniteParameter',
      path: `step ${item(count)}`,
      expected: 'finite parameters',
      found: 'NaN or infinity after the update',
      hint: 'Lower the rate, warm up, or clip by the global norm.',
    })
}
