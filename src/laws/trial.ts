import type { Kinds } from '../kind/index.ts'
import { context } from '../nn/index.ts'
import { mul, read, sum } from '../ops/index.ts'
import { EspalierError } from '../tree/error.ts'
import type { Selector } from '../tree/select.ts'
import { show } from '../tree/show.ts'
import type { Tensor } from '../tree/tensor.ts'
import { leafPlaces, showPath } from '../tree/walk.ts'
import { salted } from './models.ts'
import type { ModelInput, Sample } from './models.ts'
import { drawn } from './values.ts'

/** What a transform says of itself, which decides the laws it must obey; an adapter such as LoRA by default. */
export interface Declaration {
  /** What putting it on does to the outputs: nothing, nearly nothing, or something. */
  readonly init: 'identity' | 'close' | 'changes'
  /** Whether `merge` can make its weights dense again. */
  readonly merge: 'exact' | 'none'
  /** Whether `detach` takes it off again. */
  readonly detach: 'restores' | 'none'
  /** What a second time does: it is refused, or gives the same again, or is free. */
  readonly twice: 'refused' | 'same' | 'free'
  /** Where it acts; everything else must then be the same reference. */
  readonly touches?: Selector
  /** How many parameters it adds to a model. */
  readonly adds?: (model: unknown) => number
  /** Rows it puts before every output sequence. */
  readonly rows?: number
  /** Patterns of parameters whose gradient is zero by nature, such as a key's bias under softmax. */
  readonly nullDirections?: readonly string[]
}

/** The declaration of LoRA and its kin. */
export const adapter: Declaration = { init: 'identity', merge: 'exact', detach: 'restores', twice: 'refused' }
/** The declaration of `freeze` and whatever else only marks leaves. */
export const marking: Declaration = { init: 'identity', merge: 'none', detach: 'none', twice: 'same' }
/** The declaration of `merge`: outputs stay up to rounding, a second time does nothing. */
export const merging: Declaration = { init: 'close', merge: 'none', detach: 'none', twice: 'same' }
/**
 * The declaration of a soft prompt of some length.
 *
 * @example
 * ```ts
 * import { prompt, sllm } from 'espalier'
 * import { addsRows, check, prompting } from 'espalier/laws'
 * check(prompt({ length: 3 }), { on: sllm, declare: prompting(3), laws: [addsRows], runs: 5 }).passed // => true
 * ```
 */
export const prompting = (rows: number): Declaration => ({ ...adapter, init: 'changes', merge: 'none', rows })

/** A gradient by label. */
export type GradientsByLabel = Readonly<Record<string, Tensor>>

/** The functions that a transform is checked together with; the library's own unless replaced. */
export interface Tools {
  /** Makes every adapted weight dense. */
  readonly merge: (model: unknown) => unknown
  /** Takes everything off that was attached. */
  readonly detach: (model: unknown) => unknown
  /** The gradient of a loss by label. */
  readonly grad: (model: unknown, loss: (model: unknown) => Tensor) => GradientsByLabel
  /** One training step with weight decay. */
  readonly train: (model: unknown, loss: (model: unknown) => Tensor) => unknown
  /** There and back: what loading gives of what saving wrote. */
  readonly throughFile: (model: unknown) => unknown
}

/** What one run of a transform's law is given. */
export interface Trial extends Sample {
  /** The transform that is checked. */
  readonly transform: (model: unknown) => unknown
  readonly declared: Declaration
  readonly kinds: Kinds
  readonly tools: Tools
}

/**
 * The trial's own input, or another of the same form.
 *
 * @example
 * ```ts
 * import { define, freeze, layer, linear } from 'espalier'
 * import { check, numeric, inputOf, verdict } from 'espalier/laws'
 * const Net = define('Net', { fc: linear('in', 'out') }, (n, x, ctx) => layer(n.fc, x, ctx))
 * const law = numeric({ name: 'mine', says: 'A law of my own.', equality: 'exact',
 *   check: trial => verdict(inputOf(trial) !== inputOf(trial, 'another'), 'one input for all'),
 * })
 * check(freeze, { on: Net, laws: [law], runs: 5 }).passed // => true
 * ```
 */
export const inputOf = (trial: Sample, salt: string | number = 'input'): ModelInput => {
  if (trial.forward === undefined)
    throw new TypeError('this law needs a model that can be run: pass { on: Net } or { on: sllm }')
  return trial.forward.input(salted(trial, salt))
}

/**
 * The outputs of a model on the trial's input.
 *
 * That a model cannot be run is no refusal of a transform: it breaks the law that asked for its outputs. *
 * @example
 * ```ts
 * import { define, freeze, layer, linear } from 'espalier'
 * import { check, numeric, outputOf, verdict } from 'espalier/laws'
 * const Net = define('Net', { fc: linear('in', 'out') }, (n, x, ctx) => layer(n.fc, x, ctx))
 * const law = numeric({ name: 'mine', says: 'A law of my own.', equality: 'exact',
 *   check: trial => verdict(outputOf(trial, trial.model).shape[1] !== 0, 'no outputs'),
 * })
 * check(freeze, { on: Net, laws: [law], runs: 5 }).passed // => true
 * ```
 */
export const outputOf = (trial: Sample, model: unknown, input: ModelInput = inputOf(trial)): Tensor => {
  if (trial.forward === undefined) throw new TypeError('this law needs a model that can be run')
  try {
    return trial.forward.apply(model, input)
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error
    throw new Error(`running the model: ${error.message} (if the drawn input does not fit, pass { input })`, {
      cause: error,
    })
  }
}

/**
 * A loss without symmetries: the outputs, each times a random number of its own, summed.
 *
 * @example
 * ```ts
 * import { define, freeze, layer, linear } from 'espalier'
 * import { check, numeric, genericLoss, verdict } from 'espalier/laws'
 * const Net = define('Net', { fc: linear('in', 'out') }, (n, x, ctx) => layer(n.fc, x, ctx))
 * const law = numeric({ name: 'mine', says: 'A law of my own.', equality: 'exact',
 *   check: trial => verdict(genericLoss(trial)(trial.model).shape.length === 0, 'not a scalar'),
 * })
 * check(freeze, { on: Net, laws: [law], runs: 5 }).passed // => true
 * ```
 */
export const genericLoss =
  (trial: Sample, input: ModelInput = inputOf(trial)) =>
  (model: unknown): Tensor => {
    const y = outputOf(trial, model, input)
    return sum(mul(y, drawn(salted(trial, 'loss'), y.shape, 'float')))
  }

/** The environment of the trial's kinds. */
export const contextOf = (trial: Trial): ReturnType<typeof context> => context({ kinds: trial.kinds })

const mostNumbers = 24

/** The values of a model that is small enough to be read. */
const valuesOf = (model: unknown): string => {
  const all = leafPlaces(model)
  if (all.some((p) => p.node.value.isDisposed)) return '\n(some tensors of it were freed)'
  if (all.reduce((n, p) => n + p.node.value.size, 0) > mostNumbers) return ''
  return all.map((p) => `\n${showPath(p.path)} = [${read(p.node.value).join(', ')}]`).join('')
}

/** A drawn model for people: where it came from, its tree, and its values when they are few. */
export const shownSample = ({ model, drawnFrom }: Sample): string => `${drawnFrom}\n${show(model)}${valuesOf(model)}`
