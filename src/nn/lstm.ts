import { matrix, vector } from '../kind/index.ts'
import type { AnyField, DimsIn, Field, Init, Kind, Layer } from '../kind/index.ts'
import { add, concat, matmul, mul, reshape, sigmoid, slice, tanh, uniform, zeros } from '../ops/index.ts'
import type { Matrix, Vector } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'

/**
 * A bidirectional LSTM layer: x [batch, length, in] → [batch, length, 2·hidden], the forward states first.
 *
 * The names, and the order of the four gates along the last axis (input, forget, cell, output), are PyTorch's; weights are
 * [in, 4·hidden].
 *
 * @source Hochreiter and Schmidhuber 1997, "Long Short-Term Memory"; Graves and Schmidhuber 2005 for both directions.
 */
export interface Lstm<M = Matrix, B = Vector> extends Layer {
  readonly _tag: 'Lstm'
  readonly '~role'?: 'layer'
  readonly weight_ih: M
  readonly weight_hh: M
  readonly bias_ih: B
  readonly bias_hh: B
  readonly weight_ih_reverse: M
  readonly weight_hh_reverse: M
  readonly bias_ih_reverse: B
  readonly bias_hh_reverse: B
}

/** U(±1/√hidden) for all, as `torch.nn.LSTM` draws them. */
const byHidden: Init = (key, shape) => {
  const bound = 1 / Math.sqrt((shape.at(-1) ?? 4) / 4)
  return uniform(key, shape, -bound, bound)
}

interface Direction {
  readonly ih: Tensor
  readonly hh: Tensor
  readonly bias: Tensor
  readonly reverse: boolean
}

/** The states h of one direction, each [batch, 1, hidden], in the order of the sequence. */
const states = (x: Tensor, { ih, hh, bias, reverse }: Direction): readonly Tensor[] => {
  const [batch = 0, length = 0] = x.shape
  const hidden = hh.shape[0] ?? 0
  const inputs = add(matmul(x, ih), bias)
  // Zeros are multiplied like any state, so that a sequence of one reaches every parameter too.
  let [h, c] = [zeros([batch, hidden]), zeros([batch, hidden])]
  const out = Array.from({ length }, (): Tensor => h)
  for (let step = 0; step < length; step += 1) {
    const t = reverse ? length - 1 - step : step
    const gates = add(reshape(slice(inputs, [0, t, 0], [batch, 1, 4 * hidden]), [batch, 4 * hidden]), matmul(h, hh))
    const open = sigmoid(gates)
    const part = (of: Tensor, i: number): Tensor => slice(of, [0, i * hidden], [batch, hidden])
    c = add(mul(part(open, 1), c), mul(part(open, 0), tanh(part(gates, 2))))
    h = mul(part(open, 3), tanh(c))
    out[t] = reshape(h, [batch, 1, hidden])
  }
  return out
}

const gates = {
  ih: matrix('in', '4*hidden', byHidden),
  hh: matrix('hidden', '4*hidden', byHidden),
  bias: vector('4*hidden', byHidden),
}

/** The kind behind `lstm`. */
export const LstmKind: Kind<Lstm, 'layer', 'in' | 'hidden'> = {
  tag: 'Lstm',
  role: 'layer',
  fields: {
    weight_ih: gates.ih,
    weight_hh: gates.hh,
    bias_ih: gates.bias,
    bias_hh: gates.bias,
    weight_ih_reverse: gates.ih,
    weight_hh_reverse: gates.hh,
    bias_ih_reverse: gates.bias,
    bias_hh_reverse: gates.bias,
  },
  ops: {
    layer: (n, x) => {
      const forward = states(x, {
        ih: n.weight_ih.value,
        hh: n.weight_hh.value,
        bias: add(n.bias_ih.value, n.bias_hh.value),
        reverse: false,
      })
      const backward = states(x, {
        ih: n.weight_ih_reverse.value,
        hh: n.weight_hh_reverse.value,
        bias: add(n.bias_ih_reverse.value, n.bias_hh_reverse.value),
        reverse: true,
      })
      return concat([concat(forward, 1), concat(backward, 1)], 2)
    },
  },
}

/**
 * A field that is a bidirectional LSTM layer x [batch, length, in] → [batch, length, 2·hidden], drawn as PyTorch draws it.
 *
 * @example
 * ```ts
 * import { count, define, key, layer, lstm } from 'espalier'
 * import { zeros } from 'espalier/ops'
 * const Reader = define('Reader', { both: lstm('in', 'hidden') }, (n, x, ctx) => layer(n.both, x, ctx))
 * const reader = Reader.init({ in: 3, hidden: 5 }, key(0))
 * Reader.apply(reader, zeros([2, 7, 3])).shape // => [2, 7, 10]
 * count(reader).parameters // => 400
 * ```
 * @source Hochreiter and Schmidhuber 1997, "Long Short-Term Memory".
 */
export const lstm = <I extends string, H extends string>(
  inputs: I,
  hidden: H,
): Field<Lstm<Matrix<'trainable'>, Vector<'trainable'>>, DimsIn<I | H>> =>
  ({ _tag: 'NodeField', kind: LstmKind, dims: { in: inputs, hidden }, statics: {} }) satisfies AnyField
