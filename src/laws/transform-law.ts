import { vacuous } from './law.ts'
import type { Law, Verdict } from './law.ts'
import type { Declaration, Trial } from './trial.ts'

/** A law of transforms, and to which transforms it applies by what they declare. */
export interface TransformLaw extends Law<Trial> {
  /** Whether a transform that declares this must obey it. */
  readonly applies: (declared: Declaration) => boolean
  /** True when it runs the model, which a bare tree does not allow. */
  readonly needsOutputs: boolean
}

type Parts = Pick<TransformLaw, 'name' | 'says' | 'equality' | 'check'> & {
  readonly applies?: (declared: Declaration) => boolean
}

/**
 * A law that looks at trees only.
 *
 * @example
 * ```ts
 * import { count, define, layer, linear, lora } from 'espalier'
 * import { check, structural, verdict } from 'espalier/laws'
 * const Net = define('Net', { fc: linear('in', 'out') }, (n, x, ctx) => layer(n.fc, x, ctx))
 * const grows = structural({
 *   name: 'grows',
 *   says: 'It adds parameters.',
 *   equality: 'exact',
 *   check: ({ model, transform }) =>
 *     verdict(count(transform(model)).parameters > count(model).parameters, 'none added'),
 * })
 * check(lora({ at: '**.fc', rank: 1 }), { on: Net, laws: [grows], runs: 10 }).passed // => true
 * ```
 */
export const structural = ({ applies = () => true, ...law }: Parts): TransformLaw => ({
  ...law,
  applies,
  needsOutputs: false,
})

/**
 * A law that runs the model.
 *
 * @example
 * ```ts
 * import { define, freeze, layer, linear } from 'espalier'
 * import { check, numeric, outputOf, verdict } from 'espalier/laws'
 * import { sameTensor } from 'espalier/ops'
 * const Net = define('Net', { fc: linear('in', 'out') }, (n, x, ctx) => layer(n.fc, x, ctx))
 * const keeps = numeric({
 *   name: 'keeps',
 *   says: 'Outputs are bit for bit the same.',
 *   equality: 'bitwise',
 *   check: (trial) => {
 *     const [before, after] = [trial.model, trial.transform(trial.model)].map((m) => outputOf(trial, m))
 *     return verdict(sameTensor(before!, after!), 'they differ')
 *   },
 * })
 * check(freeze, { on: Net, laws: [keeps], runs: 10 }).passed // => true
 * ```
 */
export const numeric = ({ applies = () => true, check, ...law }: Parts): TransformLaw => ({
  ...law,
  applies,
  needsOutputs: true,
  check: (trial): Verdict =>
    trial.forward === undefined
      ? vacuous('a bare tree has no outputs: pass { on: Net } or { on: sllm }')
      : check(trial),
})
