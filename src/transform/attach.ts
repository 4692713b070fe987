import { initialise } from '../kind/index.ts'
import type { AnyKind, Dims } from '../kind/index.ts'
import { scope } from '../ops/index.ts'
import { TransformFailure } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { key as seedKey } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import { ties } from '../tree/labels.ts'
import { isParam } from '../tree/leaf.ts'
import type { Param } from '../tree/leaf.ts'
import type { Selector } from '../tree/select.ts'
import { targets } from '../tree/target.ts'
import type { Taste, Verdict } from '../tree/target.ts'
import type { Wrapping } from '../tree/types/rewrite.ts'
import type { Targeted } from '../tree/types/step.ts'
import { replaceAt, showPath } from '../tree/walk.ts'
import type { Place } from '../tree/walk.ts'
import { isWrappedWeight } from '../tree/wrap.ts'
import type { DimsOf, ValuesOf, VariantKind } from '../weight/index.ts'
import { targeted } from './targeted.ts'

const matrices: Taste<Param> = {
  verdict: (node): Verdict => {
    if (isWrappedWeight(node)) return 'adapted'
    return isParam(node) && node.form === 'matrix' ? 'take' : 'into'
  },
  wants: 'a weight matrix',
}

const tied = (place: Place<Param>, at: readonly string[]): Issue => ({
  _tag: 'TiedWeight',
  path: showPath(place.path),
  expected: 'a weight that stands in one place',
  found: `one leaf tied at ${at.join(' and ')}`,
  hint: `Part them first: untie(model, "${showPath(place.path)}").`,
})

const notTwoAxes = (place: Place<Param>): Issue => ({
  _tag: 'ShapeMismatch',
  path: showPath(place.path),
  expected: 'a matrix of shape [in, out]',
  found: `shape [${place.node.value.shape.join(', ')}]`,
  hint: 'Give the parameter the form its shape has, or leave this place out with `except`.',
})

/** How a weight kind is put on: the lengths of its own dimensions, its plain data, and the key of its parameters. */
export interface AttachOptions {
  readonly at: Selector
  readonly dims: Dims
  readonly statics?: Readonly<Record<string, unknown>>
  readonly key?: Key | undefined
}

/** Wraps each weight matrix a selector takes in a node of a kind; all mistakes are found before anything is allocated. */
export const wrapWeights = (model: unknown, kind: AnyKind, { at, dims, statics, key }: AttachOptions): unknown => {
  const places = targets(model, at, matrices)
  const shared = new Map(Object.entries(ties(model)))
  const issues = [
    ...places.flatMap((p) => {
      const others = shared.get(p.node.label)
      return others === undefined ? [] : [tied(p, others)]
    }),
    ...places.filter((p) => p.node.value.shape.length !== 2).map(notTwoAxes),
    ...badDims(places, dims),
  ]
  if (issues.length > 0) throw new TransformFailure(issues)
  // One initialiser that fails must not leave behind what those before it have allocated.
  return scope(() =>
    replaceAt(
      model,
      places.map(({ node, route }) => {
        const [rows = 0, columns = 0] = node.value.shape
        const own = { ...dims, in: rows, out: columns }
        const { _tag, ...rest } = initialise(kind, own, key ?? seedKey(kind.tag), statics, node.label) as {
          _tag: string
        }
        return { route, value: { _tag, base: node, ...rest } }
      }),
    ),
  )
}

/** The most elements a tensor can have on every engine. */
const MOST = 2 ** 31 - 1

const badDims = (places: readonly Place<Param>[], dims: Dims): readonly Issue[] => {
  const widest = Math.max(1, ...places.flatMap((p) => p.node.value.shape))
  const most = Math.floor(MOST / widest)
  return Object.entries(dims).flatMap(([name, length]) =>
    Number.isSafeInteger(length) && length > 0 && length <= most
      ? []
      : [
          {
            _tag: 'BadDimension',
            path: showPath(places[0]?.path ?? []),
            expected: `${name} to be a positive whole number${length > most ? ` up to ${most}` : ''}`,
            found: typeof length === 'string' ? `"${String(length)}"` : String(length),
            hint: `A ${name} of 4 to 16 is usual; parameters grow in proportion to it.`,
          },
        ],
  )
}

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
  targeted((model, { at, key, ...dims }: { at: Selector; key?: Key } & Record<string, unknown>) =>
    wrapWeights(model, kind, { at, key, dims: dims as Dims }),
  ) as never
