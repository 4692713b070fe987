import { initialise, materialize } from '../kind/index.ts'
import type { AnyKind, Dims, Weight } from '../kind/index.ts'
import { context } from '../nn/index.ts'
import { scope } from '../ops/index.ts'
import { TransformFailure } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { key as seedKey } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import { ties } from '../tree/labels.ts'
import { isParam } from '../tree/leaf.ts'
import type { Form, Leaf } from '../tree/leaf.ts'
import type { Selector } from '../tree/select.ts'
import { targets } from '../tree/target.ts'
import type { Taste, Verdict } from '../tree/target.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { Method, Wrapping } from '../tree/types/rewrite.ts'
import type { Targeted } from '../tree/types/step.ts'
import { leaves, replaceAt, showPath } from '../tree/walk.ts'
import type { Place } from '../tree/walk.ts'
import { formOf, isPacked, isWrappedWeight, labelOf } from '../tree/wrap.ts'
import type { DimsOf, ValuesOf, VariantKind } from '../weight/index.ts'
import type { OptionTable } from './options.ts'
import { targeted } from './targeted.ts'

/** One weight that a method is put on. */
export interface WeightPlace {
  readonly path: string
  /** The label of the weight; those of the method's own leaves begin with it. */
  readonly label: string
  readonly weight: Weight
  /** Its [in, out], or [rows, width] of a table. */
  readonly rows: number
  readonly columns: number
  /** What random numbers are drawn from, folded by label. */
  readonly key: Key
  /** The dense weight; for what begins from its values. */
  readonly dense: () => Tensor
}

/** A method that puts a weight kind on weights, as data: everything that tells it from the others. */
export interface WeightMethod<O, S = undefined> {
  readonly kind: AnyKind
  /** The kind at one place, for a method whose kinds differ with sizes; `kind` is then what it is named after. */
  readonly kindAt?: (options: O, place: Sized) => AnyKind
  /** What it takes: matrices unless said otherwise. */
  readonly form?: Form
  readonly options: OptionTable<O>
  /** The lengths of the kind's dimensions besides `in` and `out`; nothing may be allocated here. */
  readonly dims?: (options: O, place: Sized) => Dims
  /** What does not fit about one weight, before anything is allocated. */
  readonly refuse?: (options: O, place: Sized) => readonly Issue[]
  /** What all places share. */
  readonly share?: (options: O & { readonly key: Key }, places: readonly WeightPlace[], model: unknown) => S
  /**
   * What takes a field's place: plain data, or a tensor as the value of a leaf that does not begin as its field says; under
   * `base`, another representation of the weight that is wrapped.
   */
  readonly given?: (options: O, place: WeightPlace, shared: S) => Readonly<Record<string, unknown>>
}

/** Where a weight is and how large, which may be asked before anything is allocated. */
export type Sized = Pick<WeightPlace, 'path' | 'label' | 'rows' | 'columns'>

type WeightNode = Weight & (Leaf | { readonly rows: number; readonly columns: number })

const names: Readonly<Record<Form, string>> = {
  matrix: 'a weight matrix',
  table: 'an embedding table',
  vector: 'a vector',
}

/** A taste for the bare weights of one form; another form, wrapped or packed, is none of its business. */
export const weightsOf = (form: Form): Taste<WeightNode> => ({
  verdict: (node): Verdict => {
    const wrapped = isWrappedWeight(node)
    if (formOf(node) === form) return wrapped ? 'adapted' : 'take'
    return wrapped || isPacked(node) ? 'pass' : 'into'
  },
  wants: names[form],
  baseOnly: true,
})

const tied = (place: Place, at: readonly string[]): Issue => ({
  _tag: 'TiedWeight',
  path: showPath(place.path),
  expected: 'a weight that stands in one place',
  found: `one leaf tied at ${at.join(' and ')}`,
  hint: `Part them first: untie(model, "${showPath(place.path)}").`,
})

/** The issue of each place whose leaves stand in another place too. */
export const tiedPlaces = (model: unknown, places: readonly Place[]): readonly Issue[] => {
  const shared = new Map(Object.entries(ties(model)))
  return places.flatMap((p) => {
    const others = leaves(p.node).flatMap(({ label }) => shared.get(label) ?? [])
    return others.length === 0 ? [] : [tied(p, others)]
  })
}

/** The issue of a matrix or table whose tensor has not two axes. */
export const notTwoAxes = (place: Place): readonly Issue[] =>
  !isParam(place.node) || place.node.value.shape.length === 2
    ? []
    : [
        {
          _tag: 'ShapeMismatch',
          path: showPath(place.path),
          expected: 'a matrix of shape [in, out]',
          found: `shape [${place.node.value.shape.join(', ')}]`,
          hint: 'Give the parameter the form its shape has, or leave this place out with `except`.',
        },
      ]

const sized = ({ node, path }: Place<WeightNode>): Sized => {
  const [rows = 0, columns = 0] = isPacked(node) ? [node.rows, node.columns] : (node as Leaf).value.shape
  return { path: showPath(path), label: labelOf(node), rows, columns }
}

/** The most elements a tensor can have on every engine. */
const MOST = 2 ** 31 - 1

const badDims = ({ path, rows, columns }: Sized, dims: Dims): readonly Issue[] => {
  const most = Math.floor(MOST / Math.max(1, rows, columns))
  return Object.entries(dims).flatMap(([name, length]) =>
    Number.isSafeInteger(length) && length > 0 && length <= most
      ? []
      : [
          {
            _tag: 'BadDimension',
            path,
            expected: `${name} to be a positive whole number${length > most ? ` up to ${most}` : ''}`,
            found: typeof length === 'string' ? `"${String(length)}"` : String(length),
            hint: `A ${name} of 4 to 16 is usual; parameters grow in proportion to it.`,
          },
        ],
  )
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

/** Wraps each weight that a selector takes as a method says; all mistakes are found before anything is allocated. */
const wrapWeights = <O, S>(
  model: unknown,
  method: WeightMethod<O, S>,
  { at, key = seedKey(method.kind.tag), ...rest }: { readonly at: Selector; readonly key?: Key },
): unknown => {
  const { kind, kindAt = () => kind, dims = () => ({}), refuse = () => [], share, given } = method
  const taste = weightsOf(method.form ?? 'matrix')
  const places = targets(model, at, taste)
  const of = optionsAt(model, places, rest as O, taste)
  const issues = [
    ...tiedPlaces(model, places),
    ...places.flatMap(notTwoAxes),
    // One option is wrong alike everywhere: it is told once, at the first weight.
    ...(places.map((p) => badDims(sized(p), dims(of(p), sized(p)))).find((found) => found.length > 0) ?? []),
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
    const shared = share?.({ ...(rest as O), key }, all, model)
    return replaceAt(
      model,
      places.map((p, i) => {
        const place = all[i]!
        const lengths = { ...dims(of(p), place), in: place.rows, out: place.columns }
        const own = given?.(of(p), place, shared as S)
        const { _tag, ...fields } = initialise(kindAt(of(p), place), lengths, key, own, place.label) as { _tag: string }
        return { route: p.route, value: { _tag, base: own?.['base'] ?? p.node, ...fields } }
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
 * const scaled = weightMethod<{ readonly start?: 'ones' | 'largest' }, Wrapping<'Scaled', object>>('scaled', {
 *   kind: Scaled,
 *   options: { start: may(oneOf('ones', 'largest')) },
 *   given: ({ start }, place) => (start === 'largest' ? { scale: max(abs(place.dense()), { axes: 0 }) } : {}),
 * })
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * count(scaled({ at: '**.ln_1', start: 'largest' })(base)).parameters - count(base).parameters // => 256
 * ```
 */
export const weightMethod = <O extends object, K extends Method, S = undefined>(
  name: string,
  method: WeightMethod<O, S>,
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
  targeted((model, options: { readonly at: Selector; readonly key?: Key } & Readonly<Record<string, unknown>>) =>
    wrapWeights(model, { kind, options: {}, dims: (lengths: Dims) => lengths }, options),
  ) as never
