import { absent, allZeros, fanIn, matrix, project, vector } from '../kind/index.ts'
import type { AnyField, DimsIn, Field, Kind, Layer, Weight } from '../kind/index.ts'
import { add } from '../ops/index.ts'
import { isParam } from '../tree/leaf.ts'
import type { Matrix, Vector } from '../tree/leaf.ts'

/** x·W + b over the last axis. */
export interface Linear<W extends Weight = Weight, B = Vector | null> extends Layer {
  readonly _tag: 'Linear'
  readonly '~role'?: 'layer'
  readonly weight: W
  readonly bias: B
}

const ops: Kind<Linear, 'layer'>['ops'] = {
  layer: (n, x, ctx) => {
    const y = project(x, n.weight, ctx)
    return n.bias === null ? y : add(y, n.bias.value)
  },
  affine: ({ weight, bias }, x) =>
    isParam(weight) ? { x, weight: weight.value, bias: bias?.value ?? null, transpose: false, cap: 0 } : undefined,
}

/** The kind behind `linear`. */
export const LinearKind: Kind<Linear, 'layer', 'in' | 'out'> = {
  tag: 'Linear',
  role: 'layer',
  fields: { weight: matrix('in', 'out', fanIn), bias: vector('out', allZeros) },
  ops,
}

const WithoutBias: Kind<Linear, 'layer', 'in' | 'out'> = {
  ...LinearKind,
  fields: { ...LinearKind.fields, bias: absent },
}

interface LinearField {
  <I extends string, O extends string>(
    inputs: I,
    outputs: O,
  ): Field<Linear<Matrix<'trainable'>, Vector<'trainable'>>, DimsIn<I | O>>
  <I extends string, O extends string>(
    inputs: I,
    outputs: O,
    options: { readonly bias: false },
  ): Field<Linear<Matrix<'trainable'>, null>, DimsIn<I | O>>
}

/**
 * A field that is a linear layer x [..., in] → [..., out], drawn as PyTorch draws it, its bias zero.
 *
 * @example
 * ```ts
 * import { define, linear, layer, key, count } from 'espalier'
 * const Head = define('Head', { out: linear('in', 'classes') }, (n, x, ctx) => layer(n.out, x, ctx))
 * count(Head.init({ in: 8, classes: 2 }, key(0))).parameters // => 18
 * ```
 */
export const linear: LinearField = (inputs: string, outputs: string, { bias = true }: { bias?: boolean } = {}) =>
  ({
    _tag: 'NodeField',
    kind: bias ? LinearKind : WithoutBias,
    dims: { in: inputs, out: outputs },
    statics: {},
  }) satisfies AnyField
