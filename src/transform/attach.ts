import { initialise, materialize } from '../kind/index.ts'
import type { AnyKind, Dims } from '../kind/index.ts'
import { context } from '../nn/index.ts'
import { scope } from '../ops/index.ts'
import { TransformFailure } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { key as seedKey } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import type { Form } from '../tree/leaf.ts'
import type { Selector } from '../tree/select.ts'
import { targets } from '../tree/target.ts'
import type { Taste } from '../tree/target.ts'
import type { Method, Wrapping } from '../tree/types/rewrite.ts'
import type { Targeted } from '../tree/types/step.ts'
import { replaceAt } from '../tree/walk.ts'
import type { Place } from '../tree/walk.ts'
import type { DimsOf, ValuesOf, VariantKind } from '../weight/index.ts'
import { Dimension, must } from './options.ts'
import type { OptionTable } from './options.ts'
import { targeted } from './targeted.ts'
import { badDims, notTwoAxes, sized, tiedPlaces, weightsOf } from './weight-places.ts'
import type { Sized, WeightPlace } from './weight-places.ts'

/** The options of a method once those that were left out have their default. */
type Settled<O, D extends keyof O> = O & Required<Pick<O, D>>

/**
 * A method that puts a weight kind on weights, as data: everything that tells it from the others.
 *
 * `D` names the options that have a default, which is said in `defaults` and nowhere else; `S` is what all places share.
 */
export type WeightMethod<O, D extends keyof O = never, S = undefined> = MethodParts<O, D, S> &
  ([D] extends [never] ? { readonly defaults?: undefined } : { readonly defaults: Required<Pick<O, D>> })

interface MethodParts<O, D extends keyof O, S> {
  readonly kind: AnyKind
  /** The kind at one place, for a method whose kinds differ with sizes; `kind` is then what it is named after. */
  readonly kindAt?: (options: Settled<O, D>, place: Sized) => AnyKind
  /** What it takes: matrices unless said otherwise. */
  readonly form?: Form
  readonly options: OptionTable<O>
  /** The lengths of the kind's dimensions besides `in` and `out`; nothing may be allocated here. */
  readonly dims?: (options: Settled<O, D>, place: Sized) => Dims
  /** What does not fit about one weight, before anything is allocated. */
  readonly refuse?: (options: Settled<O, D>, place: Sized) => readonly Issue[]
  /** What all places share. */
  readonly share?: (options: Settled<O, D> & { readonly key: Key }, places: readonly WeightPlace[], model: unknown) => S
  /**
   * What takes a field's place: plain data, or a tensor as the value of a leaf that does not begin as its field says. A
   * `base` among it stands in place of the weight itself.
   */
  readonly given?: (options: Settled<O, D>, place: WeightPlace, shared: S) => Readonly<Record<string, unknown>>
}

/**
 * The options of each place: `rankPattern: { '**.mlp': 4 }` gives the weights it names another `rank`, the first pattern
 * that names a weight counting. Throws for a pattern that names none of the places.
 */
const optionsAt = <O>(model: unknown, places: readonly Place[], options: O, taste: Taste<unknown>) => {
  const overrides = Object.entries(options as Readonly<Record<string, unknown>>)
    .filter(([name, value]) => name.endsWith('Pattern') && value !== undefined)
    .flatMap(([name, patterns]) =>
      Object.entries(patterns as Readonly<Record<string, number>>).map(([glob, value]) => {
        const routes = new Set(targets(model, glob, taste).map((p) => p.route.join('/')))
        if (!places.some((p) => routes.has(p.route.join('/'))))
          throw new TransformFailure([
            {
              _tag: 'NoMatch',
              path: glob,
              expected: `a pattern of ${name} that names a weight of \`at\``,
              found: `"${glob}", which names others only`,
              hint: 'Take it out, or widen `at`.',
            },
          ])
        return { routes, option: name.replace(/Pattern$/, ''), value }
      }),
    )
  return ({ route }: Place): O => {
    const own = overrides.filter(({ routes }) => routes.has(route.join('/'))).toReversed()
    return { ...options, ...Object.fromEntries(own.map(({ option, value }) => [option, value])) }
  }
}

// An option that is given as undefined is one that was left out.
const settled = <O, D extends keyof O>(options: O, defaults: object): Settled<O, D> => {
  const given = Object.entries(options as object).filter(([, value]) => value !== undefined)
  return { ...defaults, ...Object.fromEntries(given) } as Settled<O, D>
}

/** A weight in a kind that wraps it: what is not given is drawn, and a `base` that is given stands in place of the weight. @internal */
export const wrapIn = (
  kind: AnyKind,
  { weight, rows, columns, key, label }: Omit<WeightPlace, 'path' | 'dense'>,
  dims: Dims,
  given: Readonly<Record<string, unknown>>,
): unknown => {
  const { base = weight, ...own } = given
  const lengths = { ...dims, in: rows, out: columns }
  const { _tag, ...fields } = initialise(kind, lengths, key, own, label) as { _tag: string }
  return { _tag, base, ...fields }
}

/** Wraps each weight that a selector takes as a method says; all mistakes are found before anything is allocated. */
const wrapWeights = <O, D extends keyof O, S>(
  model: unknown,
  method: WeightMethod<O, D, S>,
  { at, key = seedKey(method.kind.tag), ...rest }: { readonly at: Selector; readonly key?: Key },
): unknown => {
  const { kind, kindAt = () => kind, defaults = {}, dims = () => ({}), refuse = () => [], share, given } = method
  const taste = weightsOf(method.form ?? 'matrix')
  const places = targets(model, at, taste)
  const options = settled<O, D>(rest as O, defaults)
  const of = optionsAt(model, places, options, taste)
  const issues = [
    ...tiedPlaces(model, places),
    ...places.flatMap(notTwoAxes),
    // One option is wrong alike everywhere: it is told once, at the first weight.
    ...(places.map((p) => badDims(sized(p), dims(of(p), sized(p)), defaults)).find((found) => found.length > 0) ?? []),
  ]
  if (issues.length > 0) throw new TransformFailure(issues)
  const refused = places.flatMap((p) => refuse(of(p), sized(p)))
  if (refused.length > 0) throw new TransformFailure(refused)
  // One initialiser that fails must not leave behind what those before it have allocated.
  return scope(() => {
    const all = places.map((p): WeightPlace => ({
      ...sized(p),
      weight: p.node,
      key,
      dense: () => materialize(p.node, context()),
    }))
    const shared = share?.({ ...options, key }, all, model)
    return replaceAt(
      model,
      places.map((p, i) => {
        const place = all[i]!
        const lengths = dims(of(p), place)
        const value = wrapIn(kindAt(of(p), place), place, lengths, given?.(of(p), place, shared as S) ?? {})
        return { route: p.route, value }
      }),
    )
  })
}

/**
 * Makes a transform of a method that puts a weight kind on weights.
 *
 * `given` may begin from the values of the weight, `share` may give all places something in common, and an option
 * `xPattern` gives the weights that its patterns name another `x`.
 *
 * @throws TransformFailure what `attach` throws, and `BadOption`.
 * @example
 * ```ts
 * import { allOnes, count, key, materialize, may, oneOf, sllm, variant, vector, weightMethod } from 'espalier'
 * import type { Wrapping } from 'espalier'
 * import { abs, div, max, mul } from 'espalier/ops'
 * const Scaled = variant('Scaled', {
 *   fields: { scale: vector('out', allOnes) },
 *   materialize: (w, ctx) => mul(materialize(w.base, ctx), w.scale.value),
 * })
 * // Begins from the largest weight of each column, or from ones.
 * const scaled = weightMethod<{ readonly start?: 'ones' | 'largest' }, Wrapping<'Scaled', object>, 'start'>('scaled', {
 *   kind: Scaled,
 *   options: { start: may(oneOf('ones', 'largest')) },
 *   defaults: { start: 'ones' },
 *   given: ({ start }, place) => (start === 'largest' ? { scale: max(abs(place.dense()), { axes: 0 }) } : {}),
 * })
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * count(scaled({ at: '**.ln_1', start: 'largest' })(base)).parameters - count(base).parameters // => 256
 * ```
 */
export const weightMethod = <O extends object, K extends Method, D extends keyof O = never, S = undefined>(
  name: string,
  method: WeightMethod<O, D, S>,
): Targeted<O & { readonly key?: Key }, K> =>
  targeted<O & { readonly key?: Key }, K>((model, options) => wrapWeights(model, method, options), {
    name,
    options: method.options,
  })

/** Options of a variant of one's own: a length for each dimension that is not `in` or `out`. */
export type VariantOptions<F> = { readonly [D in Exclude<DimsOf<F>, 'in' | 'out'>]: number } & { readonly key?: Key }

/**
 * Makes a transform of a weight variant: it wraps every weight matrix it is pointed at.
 *
 * @throws TransformFailure `NoMatch`, `NotATarget`, `AlreadyAdapted`, `TiedWeight`, `BadDimension`, `BadSelector`.
 * @example
 * ```ts
 * import { attach, variant, vector, allOnes, materialize, count, sllm, key } from 'espalier'
 * import { mul } from 'espalier/ops'
 * const Scaled = variant('Scaled', {
 *   fields: { scale: vector('out', allOnes) },
 *   materialize: (w, ctx) => mul(materialize(w.base, ctx), w.scale.value),
 * })
 * const scaled = attach(Scaled)
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * count(scaled({ at: '**.ln_1' })(base)).parameters - count(base).parameters // => 256
 * ```
 */
export const attach = <T extends string, F>(
  kind: VariantKind<T, F>,
): Targeted<VariantOptions<F>, Wrapping<T, ValuesOf<F>>> =>
  targeted(
    (model, options: { readonly at: Selector; readonly key?: Key } & Readonly<Record<string, unknown>>) =>
      wrapWeights<Dims, never, undefined>(model, { kind, options: {}, dims: (lengths) => lengths }, options),
    { name: kind.tag, options: Object.fromEntries(ownDims(kind).map((name) => [name, must(Dimension)])) },
  ) as never

/** The dimensions of a kind that are not those of the weight it wraps. */
const ownDims = ({ fields }: AnyKind): readonly string[] =>
  Object.values(fields)
    .flatMap((field) => ('axes' in field ? field.axes : []))
    .flatMap((axis) => axis.split('*'))
    .filter((name) => name !== 'in' && name !== 'out' && !/^\d+$/.test(name))
