import { add, item, mul, scalar, sum } from '../ops/index.ts'
import { fail } from '../tree/error.ts'
import { fold } from '../tree/key.ts'
import { accumulate } from './accumulate.ts'
import type { Accumulated } from './accumulate.ts'
import { batches } from './data.ts'
import { requireTrainable } from './grad.ts'
import type { NeedsTrainable } from './grad.ts'
import { standing } from './history.ts'
import type { EvaluationRecord, History, Monitor } from './history.ts'
import { requireResumable, stepsPerEpoch } from './options.ts'
import type { Best, FitOptions, FitRun, Fitted } from './options.ts'
import type { Optimiser } from './optimiser.ts'
import { owned } from './owned.ts'
import { report } from './report.ts'
import { advance, begin } from './step.ts'

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
 * history.at(-1)!.kind === 'step' && history.at(-1)!.loss < 0.001 // => true
 * ```
 */
export const fit = async <M, T, B, S>(
  model: M & NeedsTrainable<M>,
  options: FitOptions<M, T, B, S>,
): Promise<Fitted<M, S>> => {
  const perEpoch = stepsPerEpoch(options)
  requireTrainable(model)
  const { data, collate, loss, epochs, batchSize, dropLast = false, key, evaluate, resume, tokens } = options
  const { evaluateEvery = perEpoch, saveEvery = perEpoch, patience = Infinity, monitor = lowestLoss } = options
  const optimiser = optimiserOf(options)
  if (resume !== undefined) requireResumable<M, S>(resume.run, model, optimiser, key)

  const own = owned()
  const total = epochs * perEpoch
  const history: History[number][] = [...(resume?.history ?? [])]
  let run: FitRun<M, S> = resume?.run ?? own.make(() => begin<M, S | Accumulated<S>>(model, optimiser, key))
  let best: Best<M> | undefined = resume?.best
  let done = item(run.count)
  let stopped: Fitted<M, S>['stopped'] = 'done'
  const reporter = await report(options, { from: done, total, perEpoch }).catch((error: unknown) => {
    own.dropAll()
    throw error
  })
  const keep = (): FitRun<M, S> => {
    own.handOut(run)
    return run
  }

  const takeStep = (examples: readonly T[], epoch: number): { readonly value: number; readonly size: number } => {
    const next = own.make(() => {
      const batch = collate(examples)
      const after = advance(optimiser, loss, options, run, batch, `step ${done + 1}`)
      const { loss: value, ...rest } = after
      return { run: rest, value: item(value!), size: tokens === undefined ? examples.length : tokens(batch) }
    })
    own.drop(run, [next.run, best])
    run = next.run
    done += 1
    history.push({ kind: 'step', step: done, epoch, loss: next.value })
    return next
  }

  const judge = async (epoch: number): Promise<void> => {
    if (evaluate === undefined || (done % evaluateEvery !== 0 && done !== total)) return
    const metrics = own.make(() => ({ ...evaluate(run.model) }))
    requireMetric(metrics, monitor)
    const record: EvaluationRecord = { kind: 'evaluation', step: done, epoch, metrics }
    history.push(record)
    const { best: leader, since } = standing(history, monitor)
    const improved = leader === record
    if (improved) {
      own.drop(best, run)
      best = { model: run.model, step: done, metrics }
    }
    await reporter.evaluation(record)
    await options.onEvaluate?.({ ...record, improved, keep })
    if (since >= patience && done < total) stopped = 'patience'
  }

  try {
    let order: readonly (readonly T[])[] = []
    for (let epoch = Math.floor(done / perEpoch); done < total; epoch = Math.floor(done / perEpoch)) {
      if (options.signal?.aborted === true) stopped = 'signal'
      if (stopped !== 'done') break
      if (done % perEpoch === 0 || order.length === 0)
        order = batches(data, { size: batchSize, key: fold(fold(key, 'order'), epoch), dropLast })
      const { value, size } = takeStep(order[done % perEpoch]!, epoch + 1)
      const record = { kind: 'step', step: done, epoch: epoch + 1, loss: value } as const
      await reporter.step(record, size)
      await options.onStep?.({ ...record, keep })
      await judge(epoch + 1)
      if (options.save !== undefined && (done % saveEvery === 0 || done === total)) {
        own.make(() => requireFiniteModel(run.model, done))
        await options.save(run)
      }
    }
    own.make(() => requireFiniteModel(run.model, done))
  } catch (error) {
    own.dropAll()
    throw error
  } finally {
    await reporter.end()
  }
  return { model: run.model, ...(best === undefined ? {} : { best }), history, run, stopped }
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
      found: `${Object.keys(metrics).join(', ') || 'no metrics'}`,
      hint: "Name another one: monitor: { metric: 'accuracy', best: 'highest' }.",
    })
}

// The loss tells of a bad step only at the next one, and after the last there is none.
const requireFiniteModel = (model: unknown, step: number): void => {
  const zero = Object.values(requireTrainable(model)).reduce((total, x) => add(total, sum(mul(x, 0))), scalar(0))
  if (!Number.isFinite(item(zero)))
    fail({
      _tag: 'NonFiniteParameter',
      path: `step ${step}`,
      expected: 'finite parameters',
      found: 'NaN or infinity after the update',
      hint: 'Lower the rate, warm up, or clip by the global norm.',
    })
}
