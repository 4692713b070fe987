import { define, layer, linear, sllm } from '../../src/index.ts'
import type { Param } from '../../src/index.ts'
import type { AnyTransform, CheckOptions, TransformLaw } from '../../src/laws/index.ts'
import { relu, toTf } from '../../src/ops/index.ts'
import type { TfTensor } from '../../src/ops/index.ts'
import type { Tensor } from '../../src/index.ts'

/** A transform that is checked, or one with other functions beside it. */
export interface Subject {
  readonly transform: AnyTransform
  readonly using?: NonNullable<CheckOptions['using']>
  readonly kinds?: NonNullable<CheckOptions['kinds']>
  /** In place of the law of the entry, where the law itself is made of what is checked. */
  readonly law?: TransformLaw
}

/** A fault that some library has or had, as a transform of ours; the same without the fault; and the law that tells them apart. */
export interface Fault {
  readonly name: string
  /** Where it was seen. */
  readonly source: string
  readonly law: TransformLaw
  readonly broken: Subject
  readonly twin: Subject
  readonly on: CheckOptions['on']
  readonly options?: Omit<CheckOptions, 'on' | 'using' | 'kinds'>
}

/** A small model of three layers, one of them square. */
export const Net = define(
  'Net',
  { fc1: linear('in', 'hidden'), square: linear('hidden', 'hidden', { bias: false }), fc2: linear('hidden', 'out') },
  (n, x, ctx) => layer(n.fc2, relu(layer(n.square, layer(n.fc1, x, ctx), ctx)), ctx),
)

/** Two layers, the name of one being the end of the other's. */
export const Neighbours = define(
  'Neighbours',
  { fc1: linear('in', 'hidden'), my_fc1: linear('hidden', 'out') },
  (n, x, ctx) => layer(n.my_fc1, relu(layer(n.fc1, x, ctx)), ctx),
)

export const onNet = { on: Net } as const
export const onSllm = { on: sllm } as const

/** A tree to be written to, which no function of the library does. */
// oxlint-disable-next-line typescript/no-explicit-any -- breaking the rules of the types is what these functions are for
export type Writable = any

/** The elements of a tensor themselves and not a copy, as plain JavaScript keeps them. */
export const elementsOf = (t: Tensor): Float32Array => toTf<TfTensor & { dataSync(): Float32Array }>(t).dataSync()

/** What every weight wrapper of this library looks like from below. */
export interface LoraNode {
  readonly _tag: 'Lora'
  readonly base: Param<'trainable', 'matrix'>
  readonly a: Param
  readonly b: Param
  readonly alpha: number
}

export const isLora = (x: unknown): x is LoraNode => (x as { _tag?: unknown } | null)?._tag === 'Lora'
