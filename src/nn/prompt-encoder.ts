import { layer, list, materialize, shapeOf } from '../kind/index.ts'
import type { Kind, Layer, Weight } from '../kind/index.ts'
import { relu, reshape, tanh } from '../ops/index.ts'
import type { Matrix, Table, Vector } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import { variant } from '../weight/index.ts'
import { linear } from './linear.ts'
import type { Linear } from './linear.ts'
import { lstm } from './lstm.ts'
import type { Lstm } from './lstm.ts'

/*
 * A reparametrisation is a representation of the rows that are used: a table under `base`, and what is computed from it.
 * So it is trained, saved and merged like every other weight, and no model knows of it.
 */

type Dense = Linear<Matrix<'trainable'>, Vector<'trainable'>>
type Recurrent = Lstm<Matrix<'trainable'>, Vector<'trainable'>>

/**
 * Rows E [n, d] as an encoder makes them: relu(relu(E·W₁ + b₁)·W₂ + b₂)·W₃ + b₃.
 *
 * @source Liu et al. 2021, "GPT Understands, Too", §3.2, without the LSTM, as PEFT's default encoder.
 */
export interface PromptMlp<W extends Weight = Table<'trainable'>> extends Weight {
  readonly _tag: 'PromptMlp'
  readonly '~role'?: 'weight'
  readonly base: W
  readonly fc1: Dense
  readonly fc2: Dense
  readonly fc3: Dense
}

/**
 * Rows E [n, d] read by bidirectional LSTM layers, then relu(h·W₁ + b₁)·W₂ + b₂.
 *
 * @source Liu et al. 2021, "GPT Understands, Too", §3.2.
 */
export interface PromptLstm<W extends Weight = Table<'trainable'>> extends Weight {
  readonly _tag: 'PromptLstm'
  readonly '~role'?: 'weight'
  readonly base: W
  readonly first: Recurrent
  readonly rest: readonly Recurrent[]
  readonly fc1: Dense
  readonly fc2: Dense
}

/**
 * Rows E [n, d] widened to a prefix [n, width]: tanh(E·W₁ + b₁)·W₂ + b₂.
 *
 * @source Li and Liang 2021, "Prefix-Tuning", §4.3.
 */
export interface PrefixMlp<W extends Weight = Table<'trainable'>> extends Weight {
  readonly _tag: 'PrefixMlp'
  readonly '~role'?: 'weight'
  readonly base: W
  readonly fc1: Dense
  readonly fc2: Dense
}

/** The kind behind `ptuning` with an MLP. */
export const PromptMlpKind: Kind<PromptMlp<Weight>, 'weight', 'out' | 'hidden'> = variant('PromptMlp', {
  fields: {
    fc1: linear('out', 'hidden'),
    fc2: linear('hidden', 'hidden'),
    fc3: linear('hidden', 'out'),
  },
  materialize: (w, ctx) => {
    const through = (x: Tensor, node: Layer): Tensor => layer(node, x, ctx)
    return through(relu(through(relu(through(materialize(w.base, ctx), w.fc1)), w.fc2)), w.fc3)
  },
})

/** The kind behind `ptuning` with an LSTM. */
export const PromptLstmKind: Kind<PromptLstm<Weight>, 'weight', 'out' | 'hidden' | 'more'> = variant('PromptLstm', {
  fields: {
    first: lstm('out', 'hidden'),
    rest: list(lstm('2*hidden', 'hidden'), 'more'),
    fc1: linear('2*hidden', '2*hidden'),
    fc2: linear('2*hidden', 'out'),
  },
  materialize: (w, ctx) => {
    const rows = materialize(w.base, ctx)
    const [length = 0, d = 0] = rows.shape
    const read = [w.first, ...w.rest].reduce((x: Tensor, node) => layer(node, x, ctx), reshape(rows, [1, length, d]))
    const written = layer(w.fc2, relu(layer(w.fc1, read, ctx)), ctx)
    return reshape(written, [length, d])
  },
})

/** The kind behind the projection of `prefix`; what it stands for is wider than its table. */
export const PrefixMlpKind: Kind<PrefixMlp<Weight>, 'weight', 'out' | 'hidden' | 'width'> = variant('PrefixMlp', {
  fields: {
    fc1: linear('out', 'hidden'),
    fc2: linear('hidden', 'width'),
  },
  materialize: (w, ctx) => layer(w.fc2, tanh(layer(w.fc1, materialize(w.base, ctx), ctx)), ctx),
  shape: (w, ctx) => [shapeOf(w.base, ctx)[0] ?? 0, w.fc2.bias.value.shape[0] ?? 0],
})
