import type { Kinds } from '../kind/index.ts'
import { key } from '../tree/key.ts'
import { subjectOf } from './models.ts'
import type { ModelOptions, On, Sample } from './models.ts'
import { reportOf } from './report.ts'
import type { Report } from './report.ts'
import { runLaw } from './run.ts'
import type { RunOptions } from './run.ts'
import type { AnyTransform } from './tables/algebra.ts'
import { lawsFor } from './tables/transforms.ts'
import { libraryTools } from './tools.ts'
import type { TransformLaw } from './transform-law.ts'
import { adapter, shownSample } from './trial.ts'
import type { Declaration, Tools, Trial } from './trial.ts'
import { perturbed } from './values.ts'

/** What a transform is checked on, against which laws, and how often. */
export interface CheckOptions extends RunOptions, ModelOptions {
  /** A definition, `sllm`, or an arbitrary of trees. */
  readonly on: On
  /** The laws; by default all that apply to what is declared. */
  readonly laws?: readonly TransformLaw[]
  /** What the transform says of itself where that is not what LoRA would say. */
  readonly declare?: Partial<Declaration>
  /** What is done to a model before the transform is given it, such as putting on the adapter that it takes off. */
  readonly given?: AnyTransform
  /** Replacements for the library's own functions that laws use: a `merge` of one's own, say. */
  readonly using?: Partial<Tools>
  /** The transform's name in the report. */
  readonly name?: string
}

const nameOf = (transform: AnyTransform, name: string | undefined): string =>
  name ?? (transform.name || 'the transform')

const prepare = (sample: Sample, given: AnyTransform | undefined): Sample =>
  given === undefined
    ? sample
    : { ...sample, model: perturbed(given(sample.model as never), key(sample.drawnFrom), sample) }

/**
 * Checks laws of a transform on drawn models and says for each whether it holds; needs no test framework.
 *
 * Models have small random shapes and values, none of them zero. A law that fails comes with the smallest counterexample
 * found; one with fewer than nine effective runs in ten fails and says so. Throws nothing: see `assertLaws`.
 *
 * @example
 * ```ts
 * import { define, layer, linear, lora } from 'espalier'
 * import { relu } from 'espalier/ops'
 * import { check, keepsTies, preservesOutputs, touchesOnly } from 'espalier/laws'
 * const Net = define('Net', { fc1: linear('in', 'hidden'), fc2: linear('hidden', 'out') },
 *   (n, x, ctx) => layer(n.fc2, relu(layer(n.fc1, x, ctx)), ctx))
 * const myTransform = lora({ at: '**.fc1', rank: 2 })
 * const report = check(myTransform, { on: Net, laws: [preservesOutputs, keepsTies, touchesOnly('**.fc1')], runs: 20 })
 * report.passed // => true
 * report.results.map(r => r.effective) // => [20, 20, 20]
 * ```
 */
export const check = (transform: AnyTransform, options: CheckOptions): Report => {
  const { on, laws, declare, given, using, kinds = {} as Kinds, name } = options
  const subject = subjectOf(on, options)
  const declared: Declaration = { ...adapter, nullDirections: subject.nullDirections, ...declare }
  const tools: Tools = { ...libraryTools(kinds), ...using }
  const run = (model: unknown): unknown => transform(model as never)
  const trials = subject.samples.map((sample): Trial => ({
    ...prepare(sample, given),
    transform: run,
    declared,
    kinds,
    tools,
  }))
  const chosen = laws ?? lawsFor(declared, subject.hasOutputs)
  return reportOf(
    `${nameOf(transform, name)} on ${subject.name}`,
    chosen.map((law) => runLaw(law, trials, shownSample, options)),
  )
}
