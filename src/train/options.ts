import { reachable, scope } from '../ops/index.ts'
import type { CompileReport } from '../ops/index.ts'
import { fail } from '../tree/error.ts'
import type { Key } from '../tree/key.ts'
import { trainableOf } from '../tree/partition.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { Accumulated } from './accumulate.ts'
import { requireTrainable } from './grad.ts'
import type { Loss } from './grad.ts'
import type { EvaluationRecord, History, Metrics, Monitor, StepRecord } from './history.ts'
import { requireParts } from './optimiser.ts'
import type { Optimiser } from './optimiser.ts'
import { isCount, requireSetting } from './schedule.ts'
import type { Run, StepOptions } from './step.ts'

/** The run of a `fit`; its optimiser's state is wrapped when gradients are accumulated. */
export type FitRun<M, S> = Run<M, S | Accumulated<S>>

/** What a callback may ask for. */
export interface Keeper<M, S> {
  /** The run as it stands; `fit` will not free it, and it must live until `fit` is done. */
  readonly keep: () => FitRun<M, S>
}

/** After a step. */
export interface StepEvent<M, S> extends StepRecord, Keeper<M, S> {}

/** After an evaluation. */
export interface EvaluationEvent<M, S> extends EvaluationRecord, Keeper<M, S> {
  /** Whether no earlier evaluation was as good. */
  readonly improved: boolean
}

/** A model, and what an evaluation said of it. */
export interface Best<M> {
  readonly model: M
  readonly step: number
  readonly metrics: Metrics
}

/** What `fit` gives; as a whole it may be handed to `resume`. */
export interface Fitted<M, S> {
  /** The model after the last step. */
  readonly model: M
  /** The model at its best evaluation; absent without an evaluation. */
  readonly best?: Best<M>
  readonly history: History
  /** To go on from. */
  readonly run: FitRun<M, S>
  /** All epochs are done, patience is at its end, or the signal said so. */
  readonly stopped: 'done' | 'patience' | 'signal'
  /** How its steps ran: as graphs, or why op by op. */
  readonly compiled: CompileReport
}

/** Where a training goes on: at least its run, and its history and best model if those are to go on too. */
export type Resume<M, S> = Pick<Fitted<M, S>, 'run'> & Partial<Pick<Fitted<M, S>, 'history' | 'best'>>

/** How `fit` trains. */
export interface FitOptions<M, T, B, S> extends StepOptions {
  readonly data: readonly T[]
  /** Makes a batch of examples; `fit` frees the tensors that it allocates. */
  readonly collate: (examples: readonly T[]) => B
  readonly loss: Loss<M, B>
  readonly optimiser: Optimiser<S>
  /** How often all data is gone through, what a resumed run has done included. */
  readonly epochs: number
  /** Examples in a batch. */
  readonly batchSize: number
  /** Leaves out a smaller last batch of each epoch; false by default. */
  readonly dropLast?: boolean
  /** What the order of the data and the dropout masks are drawn from. */
  readonly key: Key
  /** Batches to an update of the parameters; 1 by default. */
  readonly accumulate?: number
  /** Judges the model, synchronously and without freeing anything: `fit` frees what it allocates. */
  readonly evaluate?: (model: M) => Metrics
  /** Steps between evaluations; an epoch by default. There is one after the last step, too. */
  readonly evaluateEvery?: number
  /** Which metric tells the best model; the lowest `loss` by default. */
  readonly monitor?: Monitor
  /** Stops after so many evaluations in a row that were not better; never by default. */
  readonly patience?: number
  /** Called after each step; awaited before the next one. */
  readonly onStep?: (event: StepEvent<M, S>) => void | Promise<void>
  /** Called after each evaluation; awaited before the next step. */
  readonly onEvaluate?: (event: EvaluationEvent<M, S>) => void | Promise<void>
  /** Stores the run, which is lent until the promise is kept; after each epoch, or after every `saveEvery` steps. */
  readonly save?: (run: FitRun<M, S>) => void | Promise<void>
  readonly saveEvery?: number
  /** A progress bar on stderr: `'auto'`, the default, shows it on a terminal only. */
  readonly progress?: 'auto' | boolean
  /** Tokens in a batch, for tokens/s; without it, examples are counted. */
  readonly tokens?: (batch: B) => number
  /** A file to which each step and evaluation is appended as a line of JSON. */
  readonly metrics?: string
  /** Goes on from here instead of starting with the model, under the same key, data, batch size and optimiser. */
  readonly resume?: Resume<M, S>
  /** Ends the training after the present step. */
  readonly signal?: AbortSignal
}

/** Refuses options under which nothing sensible could be trained, and counts the steps. @internal */
export const stepsPerEpoch = <M, T, B, S>(options: FitOptions<M, T, B, S>): number => {
  const { data, epochs, batchSize, dropLast = false, accumulate, evaluate, evaluateEvery, patience } = options
  const { update } = (options.optimiser as Partial<Optimiser<S>> | undefined) ?? {}
  requireSetting(
    'fit.optimiser',
    typeof options.optimiser,
    typeof update === 'function',
    'an optimiser, such as adamw({ rate })',
  )
  requireSetting('fit.data', `${data.length} examples`, data.length > 0, 'at least one example')
  requireParts('fit.batchSize', batchSize)
  requireSetting('fit.epochs', epochs, isCount(epochs), 'a whole number >= 0')
  if (accumulate !== undefined) requireParts('fit.accumulate', accumulate)
  if (evaluateEvery !== undefined) requireParts('fit.evaluateEvery', evaluateEvery)
  if (options.saveEvery !== undefined) requireParts('fit.saveEvery', options.saveEvery)
  if (patience !== undefined) requireParts('fit.patience', patience)
  for (const name of ['patience', 'evaluateEvery', 'monitor', 'onEvaluate'] as const)
    requireSetting(
      `fit.${name}`,
      'no evaluate',
      options[name] === undefined || evaluate !== undefined,
      'an evaluate function beside it',
    )
  requireSetting(
    'fit.saveEvery',
    'no save',
    options.saveEvery === undefined || options.save !== undefined,
    'a save function beside it',
  )
  const steps = dropLast ? Math.floor(data.length / batchSize) : Math.ceil(data.length / batchSize)
  requireSetting('fit.dropLast', `${data.length} examples`, steps > 0, `at least one whole batch of ${batchSize}`)
  // What is left over at the end would never reach the parameters.
  requireSetting(
    'fit.accumulate',
    `${accumulate ?? 1} for ${epochs * steps} batches`,
    (epochs * steps) % (accumulate ?? 1) === 0,
    'a number that divides all batches of the training',
  )
  return steps
}

/** Refuses to go on with a run that belongs to another model, optimiser or key. @internal */
export const requireResumable = <M, S>(
  { model, state, key }: FitRun<M, S>,
  given: M,
  optimiser: Optimiser<S | Accumulated<S>>,
  wanted: Key,
): void => {
  const outline = (tensors: readonly Tensor[]): string => tensors.map((t) => `${t.dtype} [${t.shape.join()}]`).join(' ')
  const labels = (x: unknown): string =>
    Object.entries(trainableOf(x))
      .map(([label, { value }]) => `${label} [${value.shape.join()}]`)
      .toSorted()
      .join(', ')
  const fresh = scope(() => outline(reachable(optimiser.init(requireTrainable(model)))))
  requireSame('fit.resume.run.key', `${wanted.hi}:${wanted.lo}`, `${key.hi}:${key.lo}`)
  requireSame('fit.resume.run.model', labels(given), labels(model))
  requireSame('fit.resume.run.state', fresh, outline(reachable(state)))
}

const requireSame = (path: string, expected: string, found: string): void => {
  if (expected !== found)
    fail({
      _tag: 'ResumeMismatch',
      path,
      expected,
      found,
      hint: 'Go on with the model, the optimiser and the key that the run was started with.',
    })
}
