import * as t from 'io-ts'
import { initialise } from '../kind/index.ts'
import { Finite, PositiveWhole, Rate } from '../kind/number-codecs.ts'
import { BottleneckKind } from '../nn/index.ts'
import type { Activation, AdapterMode, Bottleneck } from '../nn/index.ts'
import { widthsOf } from '../nn/width.ts'
import type { Widths } from '../nn/width.ts'
import { TransformFailure } from '../tree/error.ts'
import type { Issue } from '../tree/error.ts'
import { key as seedKey } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import type { Selector } from '../tree/select.ts'
import { leafPlaces, showPath } from '../tree/walk.ts'
import type { Place } from '../tree/walk.ts'
import { may, oneOf } from './options.ts'
import type { OptionTable } from './options.ts'

/** How a bottleneck adapter is made, wherever it is put. */
export interface AdapterOptions {
  /** How many times narrower than the layer it is: its width is max(1, ⌊d / reduction⌋); below 1 it is wider. */
  readonly reduction?: number
  /** The non-linearity. */
  readonly activation?: Activation
  /** The factor before its output: a number, or one that is learned and begins at 1. */
  readonly scaling?: number | 'learned'
  /** Dropout on its output in training, in [0, 1). */
  readonly dropout?: number
  /** The features that the layer takes and gives, where its weights do not tell. */
  readonly width?: number
  /** Tells it from others at the same place, and stands in its labels. */
  readonly name?: string
  /** What the down-projection is drawn from, folded by label. */
  readonly key?: Key
}

// AdapterHub's own defaults: double_seq_bn, seq_bn, par_bn.
export const defaults = {
  houlsby: { reduction: 16, activation: 'silu', scaling: 1 },
  pfeiffer: { reduction: 16, activation: 'relu', scaling: 1 },
  parallel: { reduction: 2, activation: 'relu', scaling: 4 },
} as const

const Positive = t.refinement(t.number, (n) => Number.isFinite(n) && n > 0, 'a positive number')
const Name = t.refinement(t.string, (s) => /^[^.*{},]*$/.test(s), 'a name without . * { } or ,')

export const common: OptionTable<AdapterOptions> = {
  reduction: may(Positive),
  activation: may(oneOf('relu', 'gelu', 'silu', 'tanh')),
  scaling: may(t.union([Finite, oneOf('learned')], "a finite number or 'learned'")),
  dropout: may(Rate),
  width: may(PositiveWhole),
  name: may(Name),
}

export const tagOf = (node: unknown): string => String((node as { _tag?: unknown } | null)?._tag)

export const issue = (_tag: string, place: Place, expected: string, found: string, hint: string): Issue => ({
  _tag,
  path: showPath(place.path),
  expected,
  found,
  hint,
})

/** What the labels at a place begin with: the label of its first leaf, without the way there. */
const prefixOf = ({ node, path }: Place): string => {
  const first = leafPlaces(node)[0]
  if (first === undefined) return showPath(path)
  const [label, way] = [first.node.label, showPath(first.path)]
  return label === way ? '' : label.endsWith(`.${way}`) ? label.slice(0, -way.length - 1) : label
}

export const labelAt = (place: Place, name: string): string =>
  [prefixOf(place), 'adapter', name].filter((part) => part !== '').join('.')

export const widthsAt = (place: Place, mode: AdapterMode, width: number | undefined): Widths | undefined => {
  if (width !== undefined) return { in: width, out: width }
  const own = widthsOf(place.node)
  return own && (mode === 'parallel' ? own : { in: own.out, out: own.out })
}

const narrowed = (d: number, reduction: number): number => Math.max(1, Math.floor(d / reduction))

// The most elements a tensor can have on every engine.
const MOST = 2 ** 31 - 1

export const sizeIssues = (place: Place, widths: Widths | undefined, reduction: number): readonly Issue[] => {
  if (widths === undefined)
    return [issue('NoWidth', place, 'a layer whose weights tell its width', tagOf(place.node), 'Give it, { width }.')]
  const width = narrowed(widths.in, reduction)
  return width * Math.max(widths.in, widths.out) <= MOST
    ? []
    : [issue('BadDimension', place, `at most ${MOST} weights`, `a width of ${width}`, 'Reduce by more.')]
}

export type Made = Required<Pick<AdapterOptions, 'reduction' | 'activation' | 'scaling'>> & AdapterOptions

export const bottleneckAt = (place: Place, widths: Widths, options: Made): Bottleneck => {
  const { reduction, activation, scaling, dropout = 0, name = '', key = seedKey('Bottleneck') } = options
  const learned = scaling === 'learned'
  return initialise(
    BottleneckKind,
    { ...widths, width: narrowed(widths.in, reduction) },
    key,
    { name, activation, scaling: learned ? 1 : scaling, dropout, ...(learned ? {} : { scale: null }) },
    labelAt(place, name),
  ) as Bottleneck
}

export const requireNone = (issues: readonly Issue[]): void => {
  if (issues.length > 0) throw new TransformFailure(issues)
}

/** The options that were given; `undefined` is none. */
export const defined = (options: AdapterOptions): AdapterOptions =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))

export type AtAll<O> = O & { readonly at?: Selector | undefined }
