import type * as E from 'fp-ts/lib/Either.js'
import { allZeros, gaussian, initialise, initialiseField, table } from '../kind/index.ts'
import type { Model } from '../kind/index.ts'
import { PositiveWhole } from '../kind/number-codecs.ts'
import { PrefixMlpKind } from '../nn/index.ts'
import type { PrefixMlp, Prefixed } from '../nn/index.ts'
import { scope } from '../ops/index.ts'
import { issue, TransformFailure } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { key as seedKey } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import { requireSound } from '../tree/labels.ts'
import type { Table } from '../tree/leaf.ts'
import { leafPlaces, showPath } from '../tree/walk.ts'
import { isWrapper } from '../tree/wrap.ts'
import { attentionSizes } from './attention-sizes.ts'
import { may, must, oneOf, optionIssues } from './options.ts'
import type { OptionTable } from './options.ts'
import { roomIssues, sizeIssues } from './room.ts'
import { attempt } from './targeted.ts'

/** How a prefix is put on. */
export interface PrefixOptions {
  /** Number of virtual tokens. */
  readonly length: number
  /** Width of the MLP that computes the prefix while it is trained; without one the prefix itself is trained. */
  readonly projection?: number
  /** How a prefix without projection begins: N(0, 0.02²), the default, or zeros, of which all rows stay alike. */
  readonly init?: 'random' | 'zeros'
  readonly key?: Key
}

const options: OptionTable<PrefixOptions> = {
  length: must(PositiveWhole),
  projection: may(PositiveWhole),
  init: may(oneOf('random', 'zeros')),
}

/** What the prefix of these options is held as. */
export type PrefixOf<O> = 'projection' extends keyof O
  ? O extends { readonly projection: number }
    ? PrefixMlp
    : PrefixMlp | Table<'trainable'>
  : Table<'trainable'>

/** `unknown` for a model without a prefix; otherwise a sentence that nothing satisfies. */
export type Unprefixed<M> = M extends { readonly _tag: 'Prefixed' }
  ? { readonly '~error': 'this model has a prefix already: detach it first' }
  : unknown

/** Options without one that there is not. */
type Only<O> = O & { readonly [K in Exclude<keyof O, keyof PrefixOptions>]: never }

/** `prefix` itself, and `prefix.either` for mistakes as values. */
export interface Prefix {
  <const O extends PrefixOptions>(
    options: Only<O>,
  ): <M extends Model>(model: M & Unprefixed<M>) => Prefixed<M, PrefixOf<O>>
  /** The same step with its mistakes as values. */
  readonly either: <const O extends PrefixOptions>(
    options: Only<O>,
  ) => <M extends Model>(model: M & Unprefixed<M>) => E.Either<readonly Issue[], Prefixed<M, PrefixOf<O>>>
}

const tagOf = (node: unknown): unknown => (node as { readonly _tag?: unknown } | null)?._tag

/** Whether a model, or what is inside everything that wraps it, has a prefix. */
const hasPrefix = (node: unknown): boolean => tagOf(node) === 'Prefixed' || (isWrapper(node) && hasPrefix(node.base))

/** What a model's own labels begin with, such as the name it was nested under, or nothing. */
const nameOf = (model: unknown): string => {
  const [first] = leafPlaces(model)
  if (first === undefined) return ''
  const [label, path] = [first.node.label, `.${showPath(first.path)}`]
  return label.endsWith(path) ? label.slice(0, -path.length) : ''
}

/** The label of a prefix of this model. */
export const prefixLabel = (model: unknown): string => [nameOf(model), 'prefix'].filter((part) => part !== '').join('.')

const requirePrefix = (model: unknown, { key: _key, ...given }: PrefixOptions): void => {
  const issues = optionIssues('prefix', options, given, 'prefix', (option) =>
    option?.codec === PositiveWhole ? 'BadDimension' : 'BadOption',
  )
  if (issues.length > 0) throw new TransformFailure(issues)
  requireSound(model)
  if (hasPrefix(model))
    throw new TransformFailure([
      issue('AlreadyAdapted', '', 'a model without a prefix', 'Prefixed', 'Detach the prefix that is there first.'),
    ])
  if (given.projection !== undefined && given.init === 'zeros')
    throw new TransformFailure([
      issue('BadOption', 'prefix.init', "'random' with a projection", "'zeros'", 'Leave `init` out.'),
    ])
}

const run = (model: unknown, given: PrefixOptions): unknown => {
  requirePrefix(model, given)
  const { length, projection, init = 'random', key = seedKey('prefix') } = given
  const { layers, heads, width: keys, row: d } = attentionSizes(model)
  const width = 2 * layers * keys
  const issues = [
    ...roomIssues(model, [], length, 'prefix.length'),
    ...sizeIssues({ 'prefix.length': length * width, 'prefix.projection': (projection ?? 0) * width }),
  ]
  if (issues.length > 0) throw new TransformFailure(issues)
  const label = prefixLabel(model)
  const dims = { in: length, out: d, length, d, width, hidden: projection ?? 0 }
  const prefixed = scope(() => {
    if (projection === undefined) {
      const rows = table('length', 'width', init === 'zeros' ? allZeros : gaussian(0.02))
      return initialiseField(rows, dims, key, label)
    }
    const base = initialiseField(table('length', 'd', gaussian(1)), dims, key, label)
    const { _tag, ...fields } = initialise(PrefixMlpKind, dims, key, {}, label) as { readonly _tag: string }
    return { _tag, base, ...fields }
  })
  const after = { _tag: 'Prefixed', base: model, prefix: prefixed, layers, heads }
  requireSound(after)
  return after
}

/**
 * Puts trained keys and values before those of the tokens, in every attention layer of a model.
 *
 * The prefix is n × 2·layers·heads·d_head numbers in PEFT's layout. Positions and context window count its n virtual
 * tokens; logits and labels are those of the text alone. Without `projection` this is P-tuning v2.
 *
 * @throws TransformFailure `NotATarget` for what has no attention, `AlreadyAdapted`, `BadDimension`, `BadOption`,
 *   `ShapeMismatch` for attention layers that differ, `ContextOverflow` for a prefix that leaves no room for text.
 * @example
 * ```ts
 * import { bake, count, freeze, pipe, prefix, sllm, key } from 'espalier'
 * const base = freeze(sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0)))
 * count(prefix({ length: 10 })(base)).trainable // => 10_240
 * const tuned = prefix({ length: 10, projection: 32 })(base)
 * count(tuned).trainable // => 39_200
 * count(bake(tuned)).trainable // => 10_240
 * ```
 * @source Li and Liang 2021, "Prefix-Tuning: Optimizing Continuous Prompts for Generation", §4.
 */
export const prefix: Prefix = Object.assign((given: PrefixOptions) => (model: unknown) => run(model, given) as never, {
  either: (given: PrefixOptions) => (model: unknown) => attempt(() => run(model, given) as never),
  '~options': options,
})
