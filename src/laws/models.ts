import * as fc from 'fast-check'
import type { AnyField, Ctx, Dims, Kinds, Tokens } from '../kind/index.ts'
import { axisLength } from '../kind/index.ts'
import { sllm } from '../model/sllm.ts'
import type { SllmConfig } from '../model/sllm.ts'
import { adopt, concat, ones } from '../ops/index.ts'
import { fold, key as seedKey } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import type { Tensor } from '../tree/tensor.ts'
import { dimsOfFields, drawnDims } from './nodes.ts'
import type { DimRanges } from './nodes.ts'
import { drawn, drawnIds, perturbed } from './values.ts'
import type { Style } from './values.ts'

/** What a model is run on: a tensor, or token ids with their mask. */
export type ModelInput = Tensor | Tokens

/** The shape of an input, its first axis the batch; with `below`, whole numbers in [0, below), else float32. */
export interface InputSpec {
  readonly shape: readonly number[]
  readonly below?: number
}

/** How a drawn model is run. */
export interface Forward {
  /** The outputs of a model on an input. */
  readonly apply: (model: unknown, input: ModelInput) => Tensor
  /** An input of this model, by the key alone. */
  readonly input: (key: Key) => ModelInput
}

/** A drawn model, and what it was drawn from. */
export interface Sample {
  readonly model: unknown
  readonly key: Key
  readonly style: Style
  readonly forward?: Forward
  /** For people: dimensions, value style and seed. */
  readonly drawnFrom: string
}

/** What `define` makes, as far as the laws look at it. */
export interface AnyDefinition {
  readonly tag: string
  readonly fields: Readonly<Record<string, AnyField>>
  /** A fresh node from a length for each dimension. */
  readonly init: (dims: never, key: Key) => unknown
  /** Runs a node, adapted in whatever way. */
  readonly apply: (node: never, x: Tensor, ctx?: Partial<Ctx>) => Tensor
}

/** What laws can be checked on: a definition, the SLLM, or an arbitrary of trees, which have no outputs. */
export type On = AnyDefinition | typeof sllm | fc.Arbitrary<unknown>

/** How models are drawn. */
export interface ModelOptions {
  /** Lengths, or ranges of them, other than from 2 to 8. */
  readonly dims?: DimRanges
  /** The input of a definition whose first layer does not tell it; the first axis is the batch. */
  readonly input?: (dims: Dims, batch: number) => InputSpec
  /** Weight variants and other kinds of one's own, by tag. */
  readonly kinds?: Kinds
}

/** Something to draw models from. */
export interface Subject {
  readonly name: string
  readonly samples: fc.Arbitrary<Sample>
  readonly hasOutputs: boolean
  /** Patterns of parameters whose gradient is zero by nature. */
  readonly nullDirections: readonly string[]
}

const isSllm = (on: On): on is typeof sllm => on === sllm
const isArbitrary = (on: On): on is fc.Arbitrary<unknown> => on instanceof fc.Arbitrary

const seeds = {
  style: fc.constantFrom<Style>('dyadic', 'float'),
  seed: fc.nat(),
  batch: fc.integer({ min: 1, max: 3 }),
}

const wording = (name: string, dims: object, style: Style, seed: number): string =>
  `${name} of ${JSON.stringify(dims)}, ${style} values of seed ${seed}`

/** The axes of the first parameter on the way of the input, in the names of the outermost kind. */
const firstParam = (
  fields: Readonly<Record<string, AnyField>>,
): { form: string; axes: readonly string[] } | undefined => {
  for (const field of Object.values(fields)) {
    const one = field._tag === 'ListField' ? field.of : field
    if (one._tag === 'ParamField') return { form: one.form, axes: one.axes }
    if (one._tag !== 'NodeField') continue
    const inner = firstParam(one.kind.fields)
    if (inner !== undefined) return { ...inner, axes: inner.axes.map((axis) => one.dims[axis] ?? axis) }
  }
  return undefined
}

const guessInput = (on: AnyDefinition, dims: Dims, batch: number): InputSpec => {
  const first = firstParam(on.fields)
  const [length = 1] = first === undefined ? [] : first.axes.map((axis) => axisLength(axis, dims))
  return first?.form === 'table' ? { shape: [batch, 3], below: length } : { shape: [batch, length] }
}

const drawInput = ({ shape, below }: InputSpec, key: Key, style: Style): Tensor =>
  below === undefined ? drawn(key, shape, style) : drawnIds(key, shape, below)

const definitionSubject = (on: AnyDefinition, { dims, input, kinds = {} }: ModelOptions): Subject => ({
  name: on.tag,
  hasOutputs: true,
  nullDirections: [],
  samples: fc
    .record({ dims: drawnDims(dimsOfFields(on.fields), dims), ...seeds })
    .map(({ dims, style, seed, batch }) => {
      const key = seedKey(seed)
      const spec = input?.(dims, batch) ?? guessInput(on, dims, batch)
      return {
        model: perturbed(on.init(dims as never, key), key, { style }),
        key,
        style,
        drawnFrom: wording(on.tag, dims, style, seed),
        forward: {
          apply: (model, x) => on.apply(model as never, x as Tensor, { kinds }),
          input: (k) => drawInput(spec, k, style),
        },
      }
    }),
})

// A width of 1 or 2 leaves a layer norm nothing or almost nothing to tell.
const sizes: DimRanges = {
  d_model: [3, 8],
  d_head: [1, 4],
  n_heads: [1, 2],
  vocab_size: [3, 12],
  n_layers: [1, 2],
  context_window: 12,
}

const configs = (given: DimRanges): fc.Arbitrary<SllmConfig> =>
  fc
    .record({ dims: drawnDims(Object.keys(sizes), { ...sizes, ...given }), bias: fc.boolean() })
    .map(({ dims, bias }) => ({ ...sllm.config.seed, ...dims, bias }))

const tokensOf = (key: Key, shape: readonly number[], vocab: number, padded: boolean): Tokens => {
  const [batch = 1, length = 1] = shape
  const ids = drawnIds(key, shape, vocab)
  if (!padded) return { ids }
  const shown = Float32Array.from({ length: batch * length }, (_, i) => (i % length < length - 1 ? 1 : 0))
  return { ids, mask: adopt(shown, shape) }
}

const sllmSubject = ({ kinds = {}, dims = {} }: ModelOptions): Subject => ({
  name: 'sllm',
  hasOutputs: true,
  // Softmax does not see what all keys have in common.
  nullDirections: ['**.Wk.bias'],
  samples: fc
    // With a single token, or two of which one is padding, attention has no choice.
    .record({ config: configs(dims), length: fc.integer({ min: 3, max: 5 }), padded: fc.boolean(), ...seeds })
    .map(({ config, length, padded, style, seed, batch }) => {
      const key = seedKey(seed)
      return {
        model: perturbed(sllm.init(config, key), key, { style }),
        key,
        style,
        drawnFrom: wording('sllm', config, style, seed),
        forward: {
          apply: (model, input) => sllm.apply(model as never, input, { kinds }),
          input: (k) => tokensOf(k, [batch, length], config.vocab_size, padded),
        },
      }
    }),
})

const treeSubject = (on: fc.Arbitrary<unknown>): Subject => ({
  name: 'trees',
  hasOutputs: false,
  nullDirections: [],
  samples: fc
    .record({ model: on, style: seeds.style, seed: seeds.seed })
    .map(({ model, style, seed }) => ({ model, key: seedKey(seed), style, drawnFrom: `a tree, seed ${seed}` })),
})

/** Where models are drawn from, and how they are run. */
export const subjectOf = (on: On, options: ModelOptions = {}): Subject =>
  isArbitrary(on) ? treeSubject(on) : isSllm(on) ? sllmSubject(options) : definitionSubject(on, options)

/**
 * Models of a definition or SLLMs, small and with every parameter drawn and none of them zero.
 *
 * @example
 * ```ts
 * import fc from 'fast-check'
 * import { count, freeze, sllm } from 'espalier'
 * import { models } from 'espalier/laws'
 * fc.assert(fc.property(models(sllm), model => count(freeze(model)).trainable === 0), { numRuns: 10 })
 * ```
 */
export const models = (on: On, options: ModelOptions = {}): fc.Arbitrary<unknown> =>
  subjectOf(on, options).samples.map((sample) => sample.model)

/** Two inputs of a model as one batch. */
export const together = (a: ModelInput, b: ModelInput): ModelInput => {
  if (!('ids' in a) || !('ids' in b)) return concat([a as Tensor, b as Tensor], 0)
  const mask = (t: Tokens): Tensor => t.mask ?? ones(t.ids.shape)
  const ids = concat([a.ids, b.ids], 0)
  return a.mask === undefined && b.mask === undefined ? { ids } : { ids, mask: concat([mask(a), mask(b)], 0) }
}

/** Another key of the same run. */
export const salted = (sample: { readonly key: Key }, salt: string | number): Key => fold(sample.key, salt)
