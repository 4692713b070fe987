import { allOnes, allZeros, dropout, fixed, layer, matrix, vector } from '../kind/index.ts'
import type { AnyField, Kind, Layer } from '../kind/index.ts'
import { add, gelu, mul, relu, silu, tanh } from '../ops/index.ts'
import type { Matrix, Status, Vector } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { leaves } from '../tree/walk.ts'
import { LinearKind, linear } from './linear.ts'
import type { Linear } from './linear.ts'

/** The non-linearity of a bottleneck; `silu` is what AdapterHub calls swish, `gelu` the exact one. */
export type Activation = 'relu' | 'gelu' | 'silu' | 'tanh'

const activations: Readonly<Record<Activation, (x: Tensor) => Tensor>> = { relu, gelu, silu, tanh }

/** What stands beside a layer: hidden states [..., in] to what is added to the layer's own output [..., out]. */
export interface LayerAdapter extends Layer {
  readonly '~role'?: 'layer'
  readonly '~adapter'?: true
}

/**
 * A bottleneck adapter, s·Up(f(Down h)): what is to be added to hidden states, and nothing of them.
 *
 * @source Houlsby et al. 2019, "Parameter-Efficient Transfer Learning for NLP", §2.1.
 */
export interface Bottleneck<S extends Status = 'trainable'> extends LayerAdapter {
  readonly _tag: 'Bottleneck'
  readonly '~role'?: 'layer'
  readonly '~adapter'?: true
  /** Tells it from others at the same place; may be empty. */
  readonly name: string
  readonly down: Linear<Matrix<S>, Vector<S>>
  readonly up: Linear<Matrix<S>, Vector<S>>
  readonly activation: Activation
  /** The factor before the output. */
  readonly scaling: number
  /** A learned factor [1] besides, or none. */
  readonly scale: Vector<S> | null
  /** Rate of dropout on the output, in training. */
  readonly dropout: number
}

/** A bottleneck whose layers may be adapted or represented in whatever way. */
interface BottleneckShell extends Omit<Bottleneck<Status>, 'down' | 'up'> {
  readonly down: Layer
  readonly up: Layer
}

const zeroUp: AnyField = {
  _tag: 'NodeField',
  kind: { ...LinearKind, fields: { weight: matrix('in', 'out', allZeros), bias: vector('out', allZeros) } },
  dims: { in: 'width', out: 'out' },
  statics: {},
}

const call = (n: BottleneckShell, x: Tensor, ctx: Parameters<typeof layer>[2]): Tensor => {
  const narrow = activations[n.activation](layer(n.down, x, ctx))
  const fixedly = mul(layer(n.up, narrow, ctx), n.scaling)
  const y = n.scale === null ? fixedly : mul(fixedly, n.scale.value)
  return dropout(y, n.dropout, `${leaves(n.up)[0]?.label ?? ''}.dropout`, ctx)
}

/** The kind behind `bottleneck`, its factor learned; `up` begins at zero, so that a fresh one adds nothing. */
export const BottleneckKind: Kind<BottleneckShell, 'layer', 'in' | 'width' | 'out'> = {
  tag: 'Bottleneck',
  role: 'layer',
  fields: {
    name: fixed(''),
    down: linear('in', 'width'),
    up: zeroUp,
    activation: fixed('relu'),
    scaling: fixed(1),
    scale: vector('1', allOnes),
    dropout: fixed(0),
  },
  ops: { layer: call },
}

/** The sum of what several adapters add. */
export const addAll = (parts: readonly Tensor[]): Tensor => parts.reduce((total, part) => add(total, part))
