import * as fc from 'fast-check'
import { initialise } from '../kind/index.ts'
import type { AnyField, AnyKind, Dims } from '../kind/index.ts'
import { read } from '../ops/index.ts'
import { fold, key } from '../tree/key.ts'
import type { Key } from '../tree/key.ts'
import { isConstant, param, withValue } from '../tree/leaf.ts'
import type { Constant, Form } from '../tree/leaf.ts'
import { mapLeaves } from '../tree/walk.ts'
import { drawn, perturbed } from './values.ts'
import type { Style } from './values.ts'

const namesIn = (axis: string): readonly string[] => axis.split('*').filter((name) => !/^\d+$/.test(name))

const dimsOfField = (field: AnyField): readonly string[] => {
  switch (field._tag) {
    case 'ParamField':
    case 'ConstantField':
      return field.axes.flatMap(namesIn)
    case 'NodeField':
      return Object.values(field.dims).flatMap(namesIn)
    case 'ListField':
      return [...namesIn(field.length), ...dimsOfField(field.of)]
    case 'StaticField':
    case 'AbsentField':
      return []
  }
}

/** The names of the dimensions that fields mention, each once. */
export const dimsOfFields = (fields: Readonly<Record<string, AnyField>>): readonly string[] => [
  ...new Set(Object.values(fields).flatMap(dimsOfField)),
]

/** Lengths that are given, or drawn between two others, ends included. */
export type DimRanges = Readonly<Record<string, number | readonly [least: number, most: number]>>

// A width of 1 leaves a layer norm, or a softmax, nothing to tell.
const usual = [2, 8] as const

/** A length for each name: as given, else from 2 to 8, shrinking towards small ones. */
export const drawnDims = (names: readonly string[], given: DimRanges = {}): fc.Arbitrary<Dims> =>
  fc.record(
    Object.fromEntries(
      names.map((name) => {
        const range = given[name] ?? usual
        const [min, max] = typeof range === 'number' ? [range, range] : range
        return [name, fc.integer({ min, max })]
      }),
    ),
  )

/** How nodes are drawn. */
export interface NodeOptions {
  /** Lengths, or ranges of them, other than from 2 to 8. */
  readonly dims?: DimRanges
  /** What a wrapper wraps, which its fields do not say; a matrix for weights unless given. */
  readonly base?: AnyKind
  /** The form of the weight that a weight kind wraps; a matrix unless given. */
  readonly form?: Form
  /** Plain data other than the kind's own. */
  readonly statics?: Readonly<Record<string, unknown>>
  /** How a node is made whose fields do not say all, such as a weight in few bits: its tensors belong together. */
  readonly make?: (dims: Dims, seed: number) => unknown
}

/** A drawn node of a kind, and what it was drawn from. */
export interface NodeSample {
  readonly node: unknown
  readonly dims: Dims
  readonly style: Style
  readonly seed: number
}

const weightDims = ['in', 'out']

/** What a wrapper wraps, as the field `base`; nothing for kinds that wrap nothing. */
const baseOf = (
  kind: AnyKind,
  base: AnyKind | undefined,
  form: Form,
  dims: Dims,
  seed: number,
): Readonly<Record<string, unknown>> => {
  if (base !== undefined) return { base: initialise(base, dims, key(seed), {}, 'base') }
  if (kind.role !== 'weight') return {}
  return { base: param(form, 'base', drawn(key(seed), [dims['in'] ?? 1, dims['out'] ?? 1], 'dyadic')) }
}

// Whole numbers are codes, ids and positions, for which zero is as good as any.
const isZeros = (leaf: unknown): leaf is Constant =>
  isConstant(leaf) && leaf.value.dtype === 'float32' && read(leaf.value).every((x) => x === 0)

/** The node with constants drawn that begin at zero, where half of a formula would not show. */
const withoutZeros = (node: unknown, key: Key, style: Style): unknown =>
  mapLeaves(node, (leaf) =>
    isZeros(leaf) ? withValue(leaf, drawn(fold(key, `${leaf.label} zeros`), leaf.value.shape, style)) : leaf,
  )

/** Draws nodes of a kind together with their dimensions. */
export const nodeSamples = (
  kind: AnyKind,
  { dims = {}, base, form = 'matrix', statics = {}, make }: NodeOptions = {},
): fc.Arbitrary<NodeSample> => {
  const wanted = [
    ...dimsOfFields(kind.fields),
    ...(kind.role === 'weight' ? weightDims : []),
    ...(base === undefined ? [] : dimsOfFields(base.fields)),
  ]
  return fc
    .record({
      dims: drawnDims([...new Set(wanted)], dims),
      style: fc.constantFrom<Style>('dyadic', 'float'),
      seed: fc.nat(),
    })
    .map((sample) => {
      const under = baseOf(kind, base, form, sample.dims, sample.seed)
      const { _tag, ...rest } = initialise(kind, sample.dims, key(sample.seed), statics) as { _tag: string }
      const usual = kind.tag === 'Param' ? under['base'] : { _tag, ...under, ...rest }
      // Tensors that belong together stay together.
      const node = make?.(sample.dims, sample.seed) ?? withoutZeros(usual, key(sample.seed), sample.style)
      return { ...sample, node: perturbed(node, key(sample.seed), sample) }
    })
}

/**
 * Nodes of a kind, derived from its fields: every named dimension small, every parameter drawn and none of them zero,
 * nor any constant of float32 that begins at zero.
 *
 * @example
 * ```ts
 * import fc from 'fast-check'
 * import { LinearKind, kinds, shapeIssues } from 'espalier'
 * import { nodesOf } from 'espalier/laws'
 * fc.assert(fc.property(nodesOf(LinearKind), node => shapeIssues(node, LinearKind, kinds).length === 0))
 * ```
 */
export const nodesOf = (kind: AnyKind, options: NodeOptions = {}): fc.Arbitrary<unknown> =>
  nodeSamples(kind, options).map((sample) => sample.node)
