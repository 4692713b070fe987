import * as t from 'io-ts'
import { materialize } from '../kind/index.ts'
import { context } from '../nn/index.ts'
import type { Embedding } from '../nn/index.ts'
import { scope } from '../ops/index.ts'
import { TransformFailure } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { requireSound, ties } from '../tree/labels.ts'
import { param, withStatus } from '../tree/leaf.ts'
import type { Param, Status } from '../tree/leaf.ts'
import { allTargets, targets } from '../tree/target.ts'
import type { Taste } from '../tree/target.ts'
import type { WeightWrapper } from '../tree/types/rewrite.ts'
import type { Targeted, Whole } from '../tree/types/step.ts'
import { leaves, replaceAt, showPath } from '../tree/walk.ts'
import type { Place } from '../tree/walk.ts'
import { isPacked, labelOf } from '../tree/wrap.ts'
import type { Packed } from '../tree/wrap.ts'
import { quantizeValues } from '../weight/quantized.ts'
import type { Quantized, QuantizedAs } from '../weight/index.ts'
import { notTwoAxes, weightsOf } from './weight-places.ts'
import { tokenTables } from './embeddings.ts'
import { may, oneOf } from './options.ts'
import type { OptionTable } from './options.ts'
import { targeted } from './targeted.ts'

/** How weights are quantised. */
export interface QuantizeOptions extends QuantizedAs {}

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly quantize: T extends Param<Status, 'matrix'>
      ? Quantized<'matrix'>
      : T extends Packed
        ? Keep
        : WeightWrapper<T> extends true
          ? Keep
          : never
    readonly quantizeTables: T extends Embedding<Param<Status, 'table'>>
      ? { readonly [K in keyof T]: K extends 'weight' ? Quantized<'table'> : T[K] }
      : T extends Packed
        ? Keep
        : WeightWrapper<T> extends true
          ? Keep
          : never
    readonly dequantize: T extends Packed<infer F> ? Param<'frozen', F> : never
  }
}

type Bare = Param | Packed

const matrices = weightsOf('matrix')

const alreadyQuantized = ({ path, node }: Place<Bare>): Issue => ({
  _tag: 'AlreadyQuantized',
  path: showPath(path),
  expected: 'a dense weight',
  found: `one in ${node._tag}`,
  hint: 'Leave it out with `except`, or `dequantize` it first.',
})

/** The issue of each weight of which something stands outside of the selection too: there it would stay as it was. */
const partedTies = (model: unknown, places: readonly Place<Bare>[]): readonly Issue[] => {
  const shared = new Map(Object.entries(ties(model)))
  const selected = new Set(places.map(({ path }) => showPath(path)))
  const inside = (path: string): boolean => selected.has(path) || selected.has(path.replace(/\.[^.]*$/, ''))
  return places.flatMap(({ node, path }) => {
    const outside = leaves(node).flatMap(({ label }) => (shared.get(label) ?? []).filter((p) => !inside(p)))
    return outside.length === 0
      ? []
      : [
          {
            _tag: 'TiedWeight',
            path: showPath(path),
            expected: 'all places of a tied weight, or none',
            found: `one leaf that stands at ${outside.join(' and ')} too`,
            hint: `Select these as well, or part them first: untie(model, "${showPath(path)}").`,
          },
        ]
  })
}

const wrongOptions = ({ scheme, doubleQuant }: QuantizeOptions): readonly Issue[] =>
  scheme !== undefined && scheme !== 'nf4' && doubleQuant === true
    ? [
        {
          _tag: 'BadOption',
          path: 'quantize.doubleQuant',
          expected: "scheme 'nf4'",
          found: `'${scheme}', which has no scales of blocks`,
          hint: 'Leave doubleQuant out.',
        },
      ]
    : []

const quantizeAt = (model: unknown, places: readonly Place<Bare>[], options: QuantizeOptions): unknown => {
  const issues = [
    ...wrongOptions(options),
    ...places.filter(({ node }) => isPacked(node)).map(alreadyQuantized),
    ...partedTies(model, places),
    ...places.flatMap(notTwoAxes),
  ]
  if (issues.length > 0) throw new TransformFailure(issues)
  return scope(() => {
    // A tied weight becomes one node, which stands in all its places.
    const made = new Map<unknown, Quantized>()
    const quantized = (node: Param): Quantized => {
      const known = made.get(node) ?? quantizeValues(node.value, node, options)
      made.set(node, known)
      return known
    }
    return replaceAt(
      model,
      places.map(({ route, node }) => ({ route, value: quantized(node as Param) })),
    )
  })
}

/** What `quantize` and what quantises by it takes. @internal */
export const quantizeOptions: OptionTable<QuantizeOptions> = {
  scheme: may(oneOf('nf4', 'int8', 'bf16', 'f16')),
  doubleQuant: may(t.boolean),
}

/** `quantize` for weight matrices, `quantize.tables` for the tables of token embeddings. */
export interface Quantize extends Targeted<QuantizeOptions, 'quantize'> {
  /** The same for embedding tables; a glob that names a node takes those of all embeddings in it. */
  readonly tables: Targeted<QuantizeOptions, 'quantizeTables'>
}

/**
 * Holds weight matrices in 4, 8 or 16 bits from now on, frozen: what trains is what is put on top, and QLoRA is `lora` after it.
 *
 * NF4 takes 0.5625 bytes a weight (0.516 with `doubleQuant`), int8 one byte and a scale for each output, bf16 and f16 two. A glob that names a
 * layer takes all its matrices. A tied weight stays tied when all its places are selected. The count of parameters stays.
 *
 * @throws TransformFailure `NoMatch`, `NotATarget`, `AlreadyAdapted`, `AlreadyQuantized`, `TiedWeight`, `NonFinite` for a
 *   weight with NaN or an infinity, `BadOption`, `BadSelector`.
 * @example
 * ```ts
 * import { bytesAtRest, count, key, lora, pipe, quantize, sllm } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * const small = quantize({ at: '**' })(base)
 * count(small).parameters === count(base).parameters // => true
 * bytesAtRest(small.out_head.weight) / (128 * 100) // => 0.5625
 * count(pipe(small, lora({ at: 'out_head', rank: 2 }))).parameters - count(base).parameters // => 456
 * ```
 * @source Dettmers et al. 2023, "QLoRA: Efficient Finetuning of Quantized LLMs", §3; int8: Dettmers et al. 2022, "LLM.int8()", §2.
 */
export const quantize: Quantize = Object.assign(
  targeted<QuantizeOptions, 'quantize'>(
    (model, { at, ...how }) => quantizeAt(model, targets(model, at, matrices), how),
    { name: 'quantize', options: quantizeOptions },
  ),
  {
    tables: targeted<QuantizeOptions, 'quantizeTables'>(
      (model, { at, ...how }) =>
        quantizeAt(
          model,
          targets(model, at, tokenTables).map(({ node, path, route }) => ({
            node: node.weight as Bare,
            path: [...path, 'weight'],
            route: [...route, 'weight'],
          })),
          how,
        ),
      { name: 'quantize.tables', options: quantizeOptions },
    ),
  },
)

const packed: Taste<Packed> = {
  verdict: (node) => (isPacked(node) ? 'take' : 'into'),
  wants: 'a weight in few bits',
}

const dequantizeAt = (model: unknown, places: readonly Place<Packed>[]): unknown => {
  const issues = partedTies(model, places)
  if (issues.length > 0) throw new TransformFailure(issues)
  return scope(() => {
    const made = new Map<unknown, Param<'frozen'>>()
    const dense = (node: Packed): Param<'frozen'> => {
      const known =
        made.get(node.codes) ?? withStatus(param(node.form, labelOf(node), materialize(node, context())), 'frozen')
      made.set(node.codes, known)
      return known
    }
    return replaceAt(
      model,
      places.map(({ route, node }) => ({ route, value: dense(node) })),
    )
  })
}

/** `dequantize` itself, and `dequantize.only` for some places. */
export interface Dequantize {
  <M>(model: M): Whole<M, 'dequantize'>
  readonly only: Targeted<unknown, 'dequantize'>
}

const everywhere = (model: unknown): unknown => {
  requireSound(model)
  return dequantizeAt(model, allTargets(model, packed))
}

/**
 * Makes weights in few bits dense again: frozen parameters under the label they had, with the values the codes stand for.
 *
 * What quantisation has rounded off does not come back. Adapters on top stay.
 *
 * @throws TransformFailure `TiedWeight`, `LabelClash`, `Disposed`, `NotPlain`; (`only`) `NoMatch`, `NotATarget`,
 *   `BadSelector`.
 * @example
 * ```ts
 * import { dequantize, key, pipe, quantize, sllm } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * const dense = pipe(base, quantize({ at: '**' }), dequantize)
 * dense.out_head.weight.label // => 'out_head.weight'
 * ```
 */
export const dequantize: Dequantize = Object.assign(everywhere as <M>(model: M) => Whole<M, 'dequantize'>, {
  only: targeted<unknown, 'dequantize'>((model, { at }) => dequantizeAt(model, targets(model, at, packed)), {
    name: 'dequantize.only',
    options: {},
  }),
})
