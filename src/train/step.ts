import { add, compile, pad, reshape, scalar, scope } from '../ops/index.ts'
import type { CompileReport } from '../ops/index.ts'
import { explained } from '../tree/error.ts'
import { fold } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import { withValues } from '../tree/partition.ts'
import type { Tensor } from '../tree/tensor.ts'
import { differentiate, requireFinite, requireTrainable } from './grad.ts'
import type { GradOptions, Loss, LossCtx, NeedsTrainable } from './grad.ts'
import { mapLabelled } from './labelled.ts'
import type { Optimiser } from './optimiser.ts'

/** All that training knows at one moment: plain data and tensors, to be saved and taken up again. */
export interface Run<M, S> {
  readonly model: M
  readonly state: S
  /** Steps done, an int32 scalar. */
  readonly count: Tensor
  /** What the order of the data and the dropout masks are drawn from; it never changes. */
  readonly key: Key
  /** The loss before the last step, a scalar; absent at first. */
  readonly loss?: Tensor
}

/**
 * The run before the first step. Errors: `NothingTrainable`, `LabelClash`, `Disposed`.
 *
 * @example
 * ```ts
 * import { key, param, sgd, start } from 'espalier'
 * import { item, tensor } from 'espalier/ops'
 *
 * item(start({ w: param('vector', 'w', tensor([1])) }, sgd({ rate: 0.1 }), { key: key(0) }).count) // => 0
 * ```
 */
export const start = <M, S>(
  model: M & NeedsTrainable<M>,
  optimiser: Optimiser<S>,
  { key }: { readonly key: Key },
): Run<M, S> => begin<M, S>(model, optimiser, key)

/** `start` where the model's type is open. @internal */
export const begin = <M, S>(model: M, optimiser: Optimiser<S>, key: Key): Run<M, S> => {
  const params = requireTrainable(model)
  return scope(() => ({ model, state: optimiser.init(params), count: scalar(0, 'int32'), key }))
}

/**
 * Makes the function that takes a run one step further on a batch.
 *
 * It is pure: the run it is given stays as it was and alive, frozen leaves are the same objects in both, and all that it
 * allocates is the new run. Make it once and call it often: a graph belongs to it. The loss is given `{ train: true, key, seed }`:
 * the key stays, the seed counts the steps. Errors: those of `valueAndGrad`.
 *
 * @example
 * ```ts
 * import { key, param, sgd, start, step } from 'espalier'
 * import { mul, sum, tensor, toArray } from 'espalier/ops'
 *
 * const model = { w: param('vector', 'w', tensor([4, -4])) }
 * const optimiser = sgd({ rate: 0.25 })
 * const advance = step(optimiser, (m: typeof model, x: ReturnType<typeof tensor>) => sum(mul(mul(m.w.value, m.w.value), x)))
 * const after = advance(start(model, optimiser, { key: key(0) }), tensor([1, 1]))
 * toArray(after.model.w.value) // => [2, -2]
 * toArray(model.w.value) // => [4, -4]
 * advance.report().direct // => []
 * ```
 */
export const step = <L, B, S>(
  optimiser: Optimiser<S>,
  loss: Loss<L, B>,
  options: StepOptions = {},
): TrainStep<L, B, S> => {
  const advance = stepper<L, B, S>(optimiser, loss, options)
  const named = <M extends L>(run: Run<M, S>, batch: B): Run<M, S> => advance(run, batch, 'the loss')
  return Object.assign(named, { report: advance.report })
}

/** Takes a run one step further on a batch. */
export interface TrainStep<L, B, S> {
  <M extends L>(run: Run<M, S>, batch: B): Run<M, S>
  /** How steps went so far: as graphs, or why op by op. */
  readonly report: () => CompileReport
}

/** How a step is taken. */
export interface StepOptions extends GradOptions {
  /** Whether the native engine runs it as one graph, see `compile`; true by default. */
  readonly compile?: boolean
}

/** A step that is called by its name in errors. @internal */
export interface NamedStep<L, B, S> {
  <M extends L>(run: Run<M, S>, batch: B, name: string): Run<M, S>
  readonly report: () => CompileReport
}

/** @internal */
export const stepper = <L, B, S>(
  optimiser: Optimiser<S>,
  loss: Loss<L, B>,
  { compile: compiles = true, ...options }: StepOptions,
): NamedStep<L, B, S> => {
  const advance = (run: Run<L, S>, batch: B): Run<L, S> =>
    scope(() => {
      const { value, grads } = differentiate(loss, run.model, batch, contextOf(run), options)
      const params = requireTrainable(run.model)
      const { updates, state } = optimiser.update(grads, run.state, params)
      const model = withValues(
        run.model,
        mapLabelled(updates, (update, label) => add(params[label]!, update)),
      )
      return { model, state, count: add(run.count, 1), key: run.key, loss: value }
    })
  const whole = compile(advance)
  const compiled = compiles ? whole : advance
  const named = <M extends L>({ model, state, count, key }: Run<M, S>, batch: B, name: string): Run<M, S> =>
    explained(
      () =>
        scope(() => {
          const next = compiled({ model, state, count, key }, batch) as Run<M, S>
          requireFinite(next.loss!)
          return next
        }),
      // The name is none of the step's arguments: a graph would be made for each.
      (issue) => (issue._tag === 'NonFiniteLoss' ? { ...issue, path: name } : issue),
    )
  return Object.assign(named, { report: whole.report })
}

/** What differs from step to step is the tensor alone, so that a compiled step draws new masks too. */
const contextOf = ({ count, key }: Run<unknown, unknown>): LossCtx => ({
  train: true,
  key: fold(key, 'dropout'),
  seed: pad(reshape(count, [1]), [[0, 1]]),
})
