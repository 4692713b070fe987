import { allZeros, fanIn, fixed, matrix } from '../kind/index.ts'
import type { Ctx, Fields, Init, Kind, Weight } from '../kind/index.ts'
import { matmul, mul, reshape, transpose } from '../ops/index.ts'
import type { Matrix, Param, Status } from '../tree/leaf.ts'
import type { Tensor } from '../tree/tensor.ts'
import type { Packed } from '../tree/wrap.ts'
import { additive } from './delta.ts'
import { leftOutFields, remaining } from './left-out.ts'
import type { LeftOut } from './left-out.ts'
import { factorOf } from './lora.ts'
import type { Scaling } from './lora.ts'

/** Whether a factor of a Kronecker product is held whole, or as the product of two thin ones. */
export type LokrForm = 'Full' | 'Low'

type Factor<N extends 1 | 2, F extends LokrForm> = F extends 'Full'
  ? { readonly [K in `w${N}`]: Matrix<'trainable'> }
  : { readonly [K in `w${N}a` | `w${N}b`]: Matrix<'trainable'> }

interface LokrNode<W extends Weight> extends Weight, LeftOut {
  readonly base: W
  readonly alpha: number
  readonly scaling: Scaling
  /** What alpha may be divided by; the columns of thin factors, where there are any. */
  readonly rank: number
}

type LokrOf<F1 extends LokrForm, F2 extends LokrForm, W extends Weight> = LokrNode<W> & {
  readonly _tag: `Lokr${F1}${F2}`
} & Factor<1, F1> &
  Factor<2, F2>

/**
 * A weight W [in, out] plus a Kronecker product: W + s·(w1 ⊗ w2) with w1 [in1, out1], w2 [in2, out2], in = in1·in2 and out = out1·out2.
 *
 * The tag says which form each factor has: w1 whole or w1a·w1b, w2 whole or w2a·w2b.
 *
 * @source Yeh et al. 2024, "Navigating Text-To-Image Customization: From LyCORIS Fine-Tuning to Model Evaluation", §3.2.
 */
export type Lokr<W extends Weight = Weight> =
  | LokrOf<'Full', 'Full', W>
  | LokrOf<'Full', 'Low', W>
  | LokrOf<'Low', 'Full', W>
  | LokrOf<'Low', 'Low', W>

declare module '../tree/types/rewrite.ts' {
  interface Rewrites<T> {
    readonly lokr: T extends Param<Status, 'matrix'> | Packed<'matrix'>
      ? Lokr<T>
      : WeightWrapper<T> extends true
        ? Keep
        : never
  }
}

const first = (w: Lokr): Tensor => ('w1' in w ? w.w1.value : matmul(w.w1a.value, w.w1b.value))
const second = (w: Lokr): Tensor => ('w2' in w ? w.w2.value : matmul(w.w2a.value, w.w2b.value))

/** w1 ⊗ w2: the block at (i, j) is w1[i, j]·w2. */
const kron = (w1: Tensor, w2: Tensor): Tensor => {
  const [[in1 = 1, out1 = 1], [in2 = 1, out2 = 1]] = [w1.shape, w2.shape]
  const blocks = mul(reshape(w1, [in1, 1, out1, 1]), reshape(w2, [1, in2, 1, out2]))
  return reshape(blocks, [in1 * in2, out1 * out2])
}

/** x [..., in1·in2] times w1 ⊗ w2, by each factor in turn: in2 and out1 are all that either product runs over. */
const timesKron = (x: Tensor, w1: Tensor, w2: Tensor): Tensor => {
  const [[in1 = 1, out1 = 1], [in2 = 1, out2 = 1]] = [w1.shape, w2.shape]
  const batch = x.shape.slice(0, -1)
  const n = batch.reduce((a, b) => a * b, 1)
  const right = reshape(matmul(reshape(x, [n * in1, in2]), w2), [n, in1, out2])
  const both = matmul(transpose(right, [0, 2, 1]), w1)
  return reshape(transpose(both, [0, 2, 1]), [...batch, out1 * out2])
}

/** Outputs of the change, scaled, without what training leaves out. */
const scaled = (x: Tensor, w: Lokr, ctx: Ctx): Tensor =>
  remaining(mul(x, factorOf(w, w.rank)), w, 'w1' in w ? w.w1.label : w.w1a.label, ctx)

const ops = additive<Lokr>({
  delta: (w, ctx) => scaled(kron(first(w), second(w)), w, ctx),
  times: (x, w, ctx) => scaled(timesKron(x, first(w), second(w)), w, ctx),
  timesT: (x, w, ctx) => timesKron(scaled(x, w, ctx), transpose(first(w)), transpose(second(w))),
})

const factor = (n: 1 | 2, form: LokrForm, last: Init): Fields =>
  form === 'Full'
    ? { [`w${n}`]: matrix(`in${n}`, `out${n}`, last) }
    : { [`w${n}a`]: matrix(`in${n}`, 'rank'), [`w${n}b`]: matrix('rank', `out${n}`, last) }

const kindOf = (form1: LokrForm, form2: LokrForm): Kind<Lokr, 'weight'> => ({
  tag: `Lokr${form1}${form2}`,
  role: 'weight',
  fields: {
    // w1 is what begins at zero, as in PEFT; LyCORIS begins with w2 at zero.
    ...factor(1, form1, allZeros),
    ...factor(2, form2, fanIn),
    alpha: fixed<number>(1),
    scaling: fixed<Scaling>('alpha'),
    rank: fixed<number>(1),
    ...leftOutFields,
  },
  ops,
})

/** The kinds behind `lokr`, one for each pair of forms. */
export const lokrKinds: Readonly<Record<Lokr['_tag'], Kind<Lokr, 'weight'>>> = {
  LokrFullFull: kindOf('Full', 'Full'),
  LokrFullLow: kindOf('Full', 'Low'),
  LokrLowFull: kindOf('Low', 'Full'),
  LokrLowLow: kindOf('Low', 'Low'),
}
